"""Further metrics of localisation, in the definitions of published work."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from fakesound.metrics.counts import number
from fakesound.metrics.frames import FrameTable, frame_table, segments
from fakesound.metrics.localisation import (
    f1_draws,
    frame_thresholds,
    matched_events,
    sed_eval_event_draws,
    segment_counts,
)
from fakesound.metrics.proposals import OVERLAPS, ap_at, mean_of, proposals, recall_at
from fakesound.metrics.scores import ClipScore, has_frames
from fakesound.metrics.segment_eer import frame_logits, partialspoof_error, point_error
from fakesound.timeline import MICROSECONDS

RESOLUTIONS = (20, 40, 80, 160, 320, 640)  # milliseconds
PROPOSALS = 20  # proposals per clip in the average recall, as in CFPRF
MINUTES = 60  # per hour

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
    """Return each metric of :data:`LOCALISATION_KEYS` for ``scores``, over all clips together.

    Rates and F1 lie in [0, 1]. ``map`` is the mean of ``ap_tiou_50`` to ``ap_tiou_95``, ``ar_20``
    is AR@20. ``onset_error`` and ``offset_error`` are medians in seconds over the regions that
    :func:`fakesound.metrics.event_f1` counts as found; read them together with that metric, because
    a system that finds few regions may time them well. ``false_alarm_minutes_per_hour`` is computed
    on genuine clips only. Undefined metrics are None, as are all metrics of a system that only
    scores clips.

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
    runs = proposals(table, called)
    precision = {f"ap_tiou_{overlap}": ap_at(runs, overlap) for overlap in OVERLAPS}
    block |= precision | {"map": mean_of([*precision.values()])}
    block[f"ar_{PROPOSALS}"] = recall_at(runs, PROPOSALS)
    genuine = np.array([not clip.fake for clip in scores], dtype=bool)
    block["false_alarm_minutes_per_hour"] = _false_alarms(table, called, genuine)
    return block | _timing_errors(table, called)


def _timing_errors(table: FrameTable, called: Bool[np.ndarray, " frame"]) -> dict[str, float]:
    """Return the median errors of onsets and offsets in seconds; empty if no region is found."""
    regions, events = table.regions, table.spans(called)
    region, event = matched_events(regions, events, table.clip_edge)
    if not region.size:
        return {}
    onset = np.abs(events.onset[event] - regions.onset[region])
    offset = np.abs(events.offset[event] - regions.offset[region])
    errors = {"onset_error": onset, "offset_error": offset}
    return {key: float(np.median(error / MICROSECONDS)) for key, error in errors.items()}


def _false_alarms(
    table: FrameTable, called: Bool[np.ndarray, " frame"], genuine: Bool[np.ndarray, " clip"]
) -> float | None:
    """Return the minutes called fake per hour of genuine clips; None without genuine clips."""
    time = int(np.diff(table.clip_edge)[genuine].sum())
    if not time:
        return None
    alarms = called & genuine[table.frame_clip]
    return MINUTES * int(np.diff(table.frame_edge)[alarms].sum()) / time
