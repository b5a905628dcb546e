"""Where the fake parts are, in every measure in use: beside the metrics block, for comparison."""

from collections.abc import Sequence

import numpy as np

from fakesound.metrics.counts import number
from fakesound.metrics.frames import frame_table, segments
from fakesound.metrics.localisation import (
    f1_draws,
    frame_thresholds,
    sed_eval_event_draws,
    segment_counts,
)
from fakesound.metrics.proposals import OVERLAPS, ap_at, mean_of, proposals, recall_at
from fakesound.metrics.scores import ClipScore, has_frames
from fakesound.metrics.segment_eer import frame_logits, partialspoof_error, point_error
from fakesound.metrics.timing import alarms_on, timing_on

RESOLUTIONS = (20, 40, 80, 160, 320, 640)  # milliseconds
PROPOSALS = 20  # of a clip, in the recall that CFPRF reports first

LOCALISATION_KEYS = (
    *(f"segment_eer_partialspoof_{resolution}ms" for resolution in RESOLUTIONS),
    *(f"segment_eer_point_{resolution}ms" for resolution in RESOLUTIONS),
    "segment_f1_10ms",
    "event_f1_sed_eval",
    *(f"ap_tiou_{overlap}" for overlap in OVERLAPS),
    "map",
    f"ar_{PROPOSALS}",
    "onset_error",
    "offset_error",
    "false_alarm_minutes_per_hour",
)


def localisation_block(scores: Sequence[ClipScore]) -> dict[str, float | None]:
    """Return every figure of :data:`LOCALISATION_KEYS` for ``scores``, over all clips together.

    Rates and F1 are shares of one; ``onset_error`` and ``offset_error`` are medians in seconds.
    ``map`` is the mean of ``ap_tiou_50`` to
    ``ap_tiou_95``; ``ar_20`` is AR@20. An undefined figure is None, and so are all of a
    system that only scores clips.

    Raises:
        InputError: if only some clips have frame scores.
    """
    block: dict[str, float | None] = dict.fromkeys(LOCALISATION_KEYS)
    if not has_frames(scores):
        return block
    table, threshold = frame_table(scores), frame_thresholds(scores)
    called, logits = table.called(threshold), frame_logits(table)
    for resolution in RESOLUTIONS:
        for name, error in (
            ("partialspoof", partialspoof_error(table, 1000 * resolution)),
            ("point", point_error(table, logits, 1000 * resolution)),
        ):
            block[f"segment_eer_{name}_{resolution}ms"] = None if error is None else error.rate
    counts = segment_counts(segments(table, 10_000), threshold)
    block["segment_f1_10ms"] = number(f1_draws(counts, np.ones((1, table.clips))))
    block["event_f1_sed_eval"] = number(sed_eval_event_draws(table, called))
    found = proposals(table, called)
    precision = {f"ap_tiou_{overlap}": ap_at(found, overlap) for overlap in OVERLAPS}
    block |= precision | {"map": mean_of([*precision.values()])}
    block[f"ar_{PROPOSALS}"] = recall_at(found, PROPOSALS)
    timing = timing_on(table, called)
    if timing is not None:
        block |= {"onset_error": timing.onset_median, "offset_error": timing.offset_median}
    genuine = np.array([not clip.fake for clip in scores], dtype=bool)
    block["false_alarm_minutes_per_hour"] = alarms_on(table, called, genuine)
    return block
