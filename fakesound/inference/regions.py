"""From the scores of frames to regions."""

import numpy as np
from jaxtyping import Float32

from fakesound.inference.detection import FakeRegion
from fakesound.timeline import FrameGrid

# in log odds: how far above the threshold a region begins, and how far below it goes on
RISE, FALL = 0.5, 0.2
SHORTEST = 0.06  # seconds
# regions nearer than this are one
GAP = 0.1


def find_regions(
    scores: Float32[np.ndarray, " frame"], threshold: float, grid: FrameGrid, duration: float
) -> tuple[FakeRegion, ...]:
    """Return the regions of a recording by hysteresis.

    A region holds a frame that is `RISE` above ``threshold``, and goes on for as long as scores do
    not fall more than `FALL` below it; regions less than `GAP` apart are joined, those under
    `SHORTEST` dropped. On validation this finds as much as the threshold alone, and less amiss.
    """
    high, low = scores >= _moved(threshold, RISE), scores >= _moved(threshold, -FALL)
    found: list[tuple[float, float]] = []
    for region in grid.regions(low, duration):
        first, after = grid.span(region)
        if not high[first:after].any():
            continue
        if found and region.onset - found[-1][1] < GAP:
            found[-1] = (found[-1][0], region.offset)
        else:
            found.append((region.onset, region.offset))
    made = []
    for onset, offset in found:
        if offset - onset >= SHORTEST - 1e-9:
            first, after = round(onset / grid.step), -(-round(offset * 1e6) // grid.step_us)
            made.append(FakeRegion(onset, offset, float(scores[first:after].mean())))
    return tuple(made)


def _moved(threshold: float, by: float) -> float:
    """Return ``threshold`` with ``by`` added to its log odds."""
    odds = np.log(threshold / (1 - threshold)) + by
    return float(1 / (1 + np.exp(-odds)))
