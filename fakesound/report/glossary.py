"""Titles and meanings of all metrics."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A metric of the metrics block.

    Attributes:
        key: key in ``metrics.json``.
        title: name in tables and figures.
        meaning: explanation in a sentence or two.
        lower_is_better: whether it is an error or a cost.
    """

    key: str
    title: str
    meaning: str
    lower_is_better: bool = False


CLIP_METRICS = (
    Metric(
        "clip/auc",
        "Clip AUC",
        "Probability that a fake clip scores higher than a genuine one. 1 is perfect, 0.5 is "
        "chance; no threshold is involved.",
    ),
    Metric(
        "clip/eer",
        "EER",
        "Equal error rate: the error rate at the threshold where misses and false alarms are "
        "equally frequent. 0 is perfect, 0.5 is chance.",
        lower_is_better=True,
    ),
    Metric(
        "clip/balanced_accuracy",
        "Balanced accuracy",
        "Mean of the accuracies on fake and on genuine clips, at the threshold. 0.5 is chance, "
        "whatever the share of fakes.",
    ),
    Metric(
        "clip/min_dcf",
        "minDCF",
        "Detection cost at the best threshold, if 5 % of clips are fake and a missed fake costs "
        "ten false alarms. 0 is perfect, 1 is no better than ignoring the audio.",
        lower_is_better=True,
    ),
    Metric(
        "clip/cllr",
        "Cllr",
        "Cost of the scores as likelihood ratios. 0 is perfect, 1 carries no information, more "
        "than 1 is misleading.",
        lower_is_better=True,
    ),
    Metric(
        "clip/ece",
        "ECE",
        "Expected calibration error: mean distance of a score from the share of fakes among clips "
        "with such scores. 0 is perfect.",
        lower_is_better=True,
    ),
)
FRAME_METRICS = (
    Metric(
        "segment_f1_20ms",
        "Segment F1, 20 ms",
        "F1 of the marked segments of 20 ms, at the threshold. Marking everything scores above 0 "
        "and depends on the share of fake time, so compare with the always-fake baseline.",
    ),
    Metric("segment_f1_1s", "Segment F1, 1 s", "F1 of the marked segments of one second."),
    Metric(
        "event_f1",
        "Event F1",
        "F1 of whole regions. A region is correct if its onset is within 250 ms of the true one, "
        "and its offset within 250 ms or half the length of the region.",
    ),
    Metric(
        "frame/auc",
        "Frame AUC",
        "Probability that a fake frame of 20 ms scores higher than a genuine one, over all clips. "
        "1 is perfect, 0.5 is chance.",
    ),
    Metric(
        "range_eer",
        "Range EER",
        "Equal error rate over time: the share of fake time missed equals the share of genuine "
        "time marked. 0 is perfect, 0.5 is chance.",
        lower_is_better=True,
    ),
)
OTHER_METRICS = (
    Metric(
        "clip/accuracy",
        "Accuracy",
        "Share of clips classified correctly; depends on the share of fakes.",
    ),
    Metric(
        "clip/auc_within_domain",
        "Clip AUC within domains",
        "Mean of the clip AUCs within each domain, to which recognising the domain does not "
        "contribute.",
    ),
    Metric(
        "clip/ap",
        "Clip average precision",
        "Mean precision over all thresholds at which a fake clip is found.",
    ),
    Metric(
        "clip/act_dcf",
        "actDCF",
        "Detection cost of minDCF at the optimal threshold of calibrated scores.",
        lower_is_better=True,
    ),
    Metric("frame/ap", "Frame average precision", "Average precision over frames of 20 ms."),
    Metric(
        "frame/eer",
        "Frame EER",
        "Equal error rate over frames of 20 ms.",
        lower_is_better=True,
    ),
    Metric("add_score", "ADD score", "0.3 accuracy + 0.7 segment F1 at 20 ms, as in ADD 2023."),
)
ALL_METRICS = (*CLIP_METRICS, *FRAME_METRICS, *OTHER_METRICS)
FRAME_RECALL = Metric(
    "frame_recall",
    "Frame recall",
    "Share of the fake frames that are marked, at the threshold.",
)
PRECISION_METRICS = tuple(
    Metric(
        f"ap_tiou_{overlap}",
        f"0.{overlap:02d}",
        f"Average precision of regions that overlap a true one with an IoU of at least {overlap} "
        "%.",
    )
    for overlap in range(50, 100, 5)
)
LOCALISATION_METRICS = (
    Metric("segment_f1_10ms", "Segment F1, 10 ms", "F1 of the marked segments of 10 ms."),
    Metric(
        "event_f1_sed_eval",
        "Event F1, sed_eval",
        "F1 of whole regions as the toolbox sed_eval computes it, for comparison with published "
        "values.",
    ),
    Metric(
        "map",
        "mAP",
        "Mean of the average precisions of regions over ten IoU thresholds from 0.50 to 0.95. 1 is "
        "perfect.",
    ),
    Metric(
        "ar_20",
        "Average recall, 20",
        "Share of the true regions among the 20 highest-scoring regions of a clip, averaged over "
        "the same ten IoU thresholds. False alarms do not count.",
    ),
    Metric(
        "onset_error",
        "Onset error, s",
        "Median distance in seconds between the onset of a region and the true one.",
        lower_is_better=True,
    ),
    Metric(
        "offset_error",
        "Offset error, s",
        "Median distance in seconds between the offset of a region and the true one.",
        lower_is_better=True,
    ),
    Metric(
        "false_alarm_minutes_per_hour",
        "False alarms, min/h",
        "Minutes marked per hour of genuine audio.",
        lower_is_better=True,
    ),
)
SEGMENT_ERRORS = {"segment_eer_partialspoof": "PartialSpoof", "segment_eer_point": "point"}
CALIBRATION_METRICS = (
    *(
        replace(metric, key=metric.key.removeprefix("clip/"))
        for metric in ALL_METRICS
        if metric.key in ("clip/cllr", "clip/min_dcf", "clip/act_dcf", "clip/ece")
    ),
    Metric(
        "brier",
        "Brier score",
        "Mean squared distance of the score from the label, 0 or 1. 0 is perfect; a constant score "
        "of 0.5 gives 0.25.",
        lower_is_better=True,
    ),
)
METRICS: Mapping[str, Metric] = {
    metric.key: metric
    for metric in (*ALL_METRICS, FRAME_RECALL, *LOCALISATION_METRICS, *PRECISION_METRICS)
}
# metrics in comparisons of attacks, conditions and runs
MAIN_KEYS = ("clip/auc", "frame/auc", "segment_f1_20ms")
# if there is space for two: one for detection, one for localisation
TWO_KEYS = ("clip/auc", "segment_f1_20ms")
PART_TITLES = {
    "unseen": "Unseen attacks",
    "seen": "Seen attacks",
    "all": "Test",
    "validation": "Validation",
}


def known(blocks: Iterable[Mapping[str, Any]], key: str) -> bool:
    """Return whether any of ``blocks`` has a value for ``key``."""
    return any(block.get(key) is not None for block in blocks)


def defined(metrics: Iterable[Metric], blocks: Sequence[Mapping[str, Any]]) -> list[Metric]:
    """Return those of ``metrics`` that any of ``blocks`` has a value for."""
    return [metric for metric in metrics if known(blocks, metric.key)]
