"""How many seconds found regions are off, and how often genuine audio is called fake."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from fakesound.metrics.localisation import frame_thresholds, matched_events
from fakesound.metrics.scores import ClipScore
from fakesound.metrics.tape import Tape, tape_of
from fakesound.timeline import MICROSECONDS

MINUTES = 60  # in an hour


@dataclass(frozen=True)
class TimingError:
    """Absolute errors of the regions found, in seconds.

    Attributes:
        onset_median: median over the regions found.
        onset_mean: mean over them.
        offset_median: as the first, of their ends.
        offset_mean: as the second.
        regions: how many were found.
    """

    onset_median: float
    onset_mean: float
    offset_median: float
    offset_mean: float
    regions: int


def timing_error(scores: Sequence[ClipScore]) -> TimingError | None:
    """Return how far found regions begin and end from the true ones.

    Only of the regions that :func:`fakesound.metrics.event_f1` counts as found, so an onset is off
    by at most 250 ms: read it beside that figure, for a system that finds little may time it well.
    None where no region is found.

    Raises:
        InputError: if a clip has no frame scores.
    """
    tape = tape_of(scores)
    return timing_on(tape, tape.called(frame_thresholds(scores)))


def false_alarm_minutes_per_hour(scores: Sequence[ClipScore]) -> float | None:
    """Return the minutes called fake in an hour of genuine clips.

    Genuine parts of fake clips do not count. None without genuine clips.

    Raises:
        InputError: if a clip has no frame scores.
    """
    tape = tape_of(scores)
    genuine = np.array([not clip.fake for clip in scores], dtype=bool)
    return alarms_on(tape, tape.called(frame_thresholds(scores)), genuine)


def timing_on(tape: Tape, called: Bool[np.ndarray, " frame"]) -> TimingError | None:
    """Return :func:`timing_error` of the ``called`` frames of ``tape``."""
    regions, events = tape.regions, tape.spans(called)
    region, event = matched_events(regions, events, tape.clip_edge)
    if not region.size:
        return None
    onset = np.abs(events.onset[event] - regions.onset[region]) / MICROSECONDS
    offset = np.abs(events.offset[event] - regions.offset[region]) / MICROSECONDS
    return TimingError(
        onset_median=float(np.median(onset)),
        onset_mean=float(onset.mean()),
        offset_median=float(np.median(offset)),
        offset_mean=float(offset.mean()),
        regions=region.size,
    )


def alarms_on(
    tape: Tape, called: Bool[np.ndarray, " frame"], genuine: Bool[np.ndarray, " clip"]
) -> float | None:
    """Return :func:`false_alarm_minutes_per_hour` of the ``called`` frames of ``tape``."""
    time = int(np.diff(tape.clip_edge)[genuine].sum())
    if not time:
        return None
    alarms = called & genuine[tape.frame_clip]
    return MINUTES * int(np.diff(tape.frame_edge)[alarms].sum()) / time
