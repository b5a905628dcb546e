"""From the scores of frames to regions."""

import numpy as np
from jaxtyping import Float32

from fakesound.inference.detection import FakeRegion
from fakesound.timeline import FrameGrid

# how far, in log odds, a region goes on below the score that it needs to begin
SLACK = 0.7
SHORTEST = 0.06  # seconds
# regions nearer than this are one
GAP = 0.1


def find_regions(
    scores: Float32[np.ndarray, " frame"], threshold: float, grid: FrameGrid, duration: float
) -> tuple[FakeRegion, ...]:
    """Return the regions of a recording by hysteresis.

    A region holds a frame at ``threshold`` or above, and goes on for as long as scores stay within
    `SLACK` of it; regions less than `GAP` apart are joined, those under `SHORTEST` dropped.
    """
    high, low = scores >= threshold, scores >= _lower(threshold)
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


def _lower(threshold: float) -> float:
    odds = np.log(threshold / (1 - threshold)) - SLACK
    return float(1 / (1 + np.exp(-odds)))
