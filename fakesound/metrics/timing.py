"""How many seconds found regions are off, and how often genuine audio is called fake."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from fakesound.metrics.frames import FrameTable
from fakesound.metrics.localisation import matched_events
from fakesound.timeline import MICROSECONDS

MINUTES = 60  # in an hour


@dataclass(frozen=True)
class TimingError:
    """Absolute errors of the regions found, in seconds.

    Attributes:
        onset_median: median over the regions found.
        onset_mean: mean over them.
        offset_median: median error of their ends.
        offset_mean: mean error of their ends.
        regions: how many were found.
    """

    onset_median: float
    onset_mean: float
    offset_median: float
    offset_mean: float
    regions: int


def timing_on(table: FrameTable, called: Bool[np.ndarray, " frame"]) -> TimingError | None:
    """Return how far found regions begin and end from the true ones.

    Only of the regions that :func:`fakesound.metrics.event_f1` counts as found, so an onset is off
    by at most 250 ms: read it beside that figure, for a system that finds little may time it well.
    None where no region is found.
    """
    regions, events = table.regions, table.spans(called)
    region, event = matched_events(regions, events, table.clip_edge)
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
    table: FrameTable, called: Bool[np.ndarray, " frame"], genuine: Bool[np.ndarray, " clip"]
) -> float | None:
    """Return the minutes called fake in an hour of genuine clips.

    Genuine parts of fake clips do not count. None without genuine clips.
    """
    time = int(np.diff(table.clip_edge)[genuine].sum())
    if not time:
        return None
    alarms = called & genuine[table.frame_clip]
    return MINUTES * int(np.diff(table.frame_edge)[alarms].sum()) / time
