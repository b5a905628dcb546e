"""What each figure is called, and what it means to a newcomer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A figure of the metrics block.

    Attributes:
        key: its key.
        title: its name in a table.
        meaning: its explanation, in a sentence or two.
        lower_is_better: whether it is an error or a cost.
    """

    key: str
    title: str
    meaning: str
    lower_is_better: bool = False


CLIP_FIGURES = (
    Figure(
        "clip/auc",
        "Clip AUC",
        "How often a fake clip scores higher than a genuine one. 1 is perfect, .5 is guessing; no "
        "threshold is involved.",
    ),
    Figure(
        "clip/eer",
        "EER",
        "Equal error rate: the error where as many fakes are missed as genuine clips raise a false "
        "alarm. 0 is perfect, .5 is guessing.",
        lower_is_better=True,
    ),
    Figure(
        "clip/balanced_accuracy",
        "Balanced accuracy",
        "Mean of the shares of fake and of genuine clips that are called right, at the threshold. "
        ".5 is guessing, however many of the clips are fake.",
    ),
    Figure(
        "clip/min_dcf",
        "minDCF",
        "Cost at the best threshold where 5 % of clips are fake and a missed fake costs ten false "
        "alarms. 0 is perfect, 1 is no better than not listening.",
        lower_is_better=True,
    ),
    Figure(
        "clip/cllr",
        "Cllr",
        "How good the scores are as odds. 0 is perfect; 1 says nothing; more than 1 misleads.",
        lower_is_better=True,
    ),
    Figure(
        "clip/ece",
        "ECE",
        "Calibration error: how far, on average, a score lies from the share of such clips that "
        "are fake. 0 is perfect.",
        lower_is_better=True,
    ),
)
FRAME_FIGURES = (
    Figure(
        "segment_f1_20ms",
        "Segment F1, 20 ms",
        "Agreement of the marked parts with the true ones in steps of 20 ms, at the threshold: "
        "1 when all fake steps are marked and nothing else. Marking "
        "everything already earns something, so read it beside that.",
    ),
    Figure("segment_f1_1s", "Segment F1, 1 s", "The same in steps of a second."),
    Figure(
        "event_f1",
        "Event F1",
        "The same over whole regions: found when the onset is within 250 ms, and the end within "
        "250 ms or half the region's length.",
    ),
    Figure(
        "frame/auc",
        "Frame AUC",
        "How often a fake frame of 20 ms scores higher than a genuine one, over all clips. 1 is "
        "perfect, .5 is guessing.",
    ),
    Figure(
        "range_eer",
        "Range EER",
        "Equal error rate over time: the share of fake time missed equals the share of genuine "
        "time marked. 0 is perfect, .5 is guessing.",
        lower_is_better=True,
    ),
)
OTHER_FIGURES = (
    Figure("clip/accuracy", "Accuracy", "Share of the clips called right; depends on the mix."),
    Figure(
        "clip/auc_within_domain",
        "Clip AUC within domains",
        "Mean of the clip AUCs inside each kind of recording: telling kinds apart does not help.",
    ),
    Figure(
        "clip/ap",
        "Clip average precision",
        "Mean share of fakes among the clips that score at least as high as each fake.",
    ),
    Figure(
        "clip/act_dcf",
        "actDCF",
        "The cost of minDCF at the threshold that would be right if scores were calibrated.",
        lower_is_better=True,
    ),
    Figure("frame/ap", "Frame average precision", "The same over frames of 20 ms."),
    Figure(
        "frame/eer",
        "Frame EER",
        "Equal error rate over frames of 20 ms.",
        lower_is_better=True,
    ),
    Figure("add_score", "ADD score", "0.3 accuracy + 0.7 segment F1 at 20 ms, as in ADD 2023."),
)
ALL_FIGURES = (*CLIP_FIGURES, *FRAME_FIGURES, *OTHER_FIGURES)
FRAME_RECALL = Figure(
    "frame_recall",
    "Frame recall",
    "Share of the fake frames that are marked, at the threshold.",
)
PRECISION_FIGURES = tuple(
    Figure(
        f"ap_tiou_{overlap}",
        f".{overlap:02d}",
        f"Average precision of regions, which are right when they share {overlap} % of what they "
        "and a true one cover together.",
    )
    for overlap in range(50, 100, 5)
)
LOCALISATION_FIGURES = (
    Figure("segment_f1_10ms", "Segment F1, 10 ms", "Segment F1 in steps of 10 ms."),
    Figure(
        "event_f1_sed_eval",
        "Event F1, sed_eval",
        "F1 over whole regions as the toolbox sed_eval counts them, for comparison with published "
        "figures.",
    ),
    Figure(
        "map",
        "mAP",
        "Mean of the average precisions of regions over ten demands on their overlap with a true "
        "one, from 50 % to 95 %. 1 is perfect.",
    ),
    Figure(
        "ar_20",
        "Average recall, 20",
        "Share of the true regions that are among the 20 surest of a clip, averaged over the same "
        "ten demands. False alarms do not count.",
    ),
    Figure(
        "onset_error",
        "Onset error, s",
        "How far the start of a found region lies from the true one, in seconds; the median.",
        lower_is_better=True,
    ),
    Figure(
        "offset_error",
        "Offset error, s",
        "The same for the end of a region.",
        lower_is_better=True,
    ),
    Figure(
        "false_alarm_minutes_per_hour",
        "False alarms, min/h",
        "Minutes marked in an hour of genuine audio.",
        lower_is_better=True,
    ),
)
SEGMENT_ERRORS = {"segment_eer_partialspoof": "PartialSpoof", "segment_eer_point": "point"}
CALIBRATION_FIGURES = (
    *(
        Figure(f.key.removeprefix("clip/"), f.title, f.meaning, f.lower_is_better)
        for f in (*CLIP_FIGURES, *OTHER_FIGURES)
        if f.key in ("clip/cllr", "clip/min_dcf", "clip/act_dcf", "clip/ece")
    ),
    Figure(
        "brier",
        "Brier",
        "Mean squared distance of the score from the truth, 0 or 1. 0 is perfect; .25 is what a "
        "score of .5 gives.",
        lower_is_better=True,
    ),
)
