"""Average precision and recall of predicted regions, as in temporal action localisation.

A proposal is a run of frames called fake; its confidence is the mean score of its frames. The
thresholds of temporal IoU and their mean are those of ActivityNet (Caba Heilbron et al. 2015),
which CFPRF uses for partly fake speech (Wu et al. 2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from fakesound.metrics.frames import FrameTable

OVERLAPS = tuple(range(50, 100, 5))  # IoU thresholds in per cent
DECIMALS = 9  # decimals of a confidence, so that runs of equal scores tie whatever their lengths


@dataclass(frozen=True, eq=False)
class Proposals:
    """Proposals, each with the true region that it overlaps best.

    Attributes:
        clip: index of the clip of each proposal.
        confidence: mean score of the frames of each proposal.
        intersection: microseconds that proposal and region share; 0 without a region.
        union: microseconds that proposal and region cover together.
        regions: number of true regions in all clips.
    """

    clip: Int[np.ndarray, " proposal"]
    confidence: Float[np.ndarray, " proposal"]
    intersection: Int[np.ndarray, " proposal"]
    union: Int[np.ndarray, " proposal"]
    regions: int

    def hits(self, overlap: int) -> Bool[np.ndarray, " proposal"]:
        """Return which proposals have an IoU of at least ``overlap`` per cent, 50 or more."""
        # proposals are disjoint, so no region has an IoU of 50 % with two of them
        hits: Bool[np.ndarray, " proposal"] = 100 * self.intersection >= overlap * self.union
        return hits & (self.intersection > 0)


def proposals(table: FrameTable, called: Bool[np.ndarray, " frame"]) -> Proposals:
    """Return the runs of ``called`` frames as proposals."""
    runs, regions = table.spans(called), table.regions
    first = np.searchsorted(table.frame_edge, runs.onset)
    after = np.searchsorted(table.frame_edge, runs.offset)
    padded = np.append(table.frame_score.astype(np.float64), 0.0)
    total = np.add.reduceat(padded, np.stack((first, after), axis=1).ravel())[::2]
    mean = total / (after - first)
    # the regions that overlap a run are consecutive
    nearest = np.searchsorted(regions.offset, runs.onset, side="right")
    count = np.searchsorted(regions.onset, runs.offset, side="left") - nearest
    run = np.repeat(np.arange(runs.clip.size), count)
    region = np.arange(run.size) + (nearest - np.cumsum(count) + count)[run]
    onsets, offsets = (
        (run_edge[run], region_edge[region])
        for run_edge, region_edge in ((runs.onset, regions.onset), (runs.offset, regions.offset))
    )
    shared = np.minimum(*offsets) - np.maximum(*onsets)
    whole = np.maximum(*offsets) - np.minimum(*onsets)
    intersection, union = np.zeros(runs.clip.size, dtype=np.int64), runs.offset - runs.onset
    best = np.lexsort((shared / whole, run))  # the best region of a run is last and wins
    intersection[run[best]], union[run[best]] = shared[best], whole[best]
    return Proposals(runs.clip, np.round(mean, DECIMALS), intersection, union, regions.clip.size)


def ap_at(runs: Proposals, overlap: int) -> float | None:
    """Return the average precision of ``runs`` at an IoU of at least ``overlap`` per cent.

    Proposals of all clips are ranked together by confidence; equal ones are admitted together. A
    proposal is right if its IoU with a true region of its clip reaches the threshold. The result is
    the area under the interpolated curve: at each recall, the highest precision at that recall or
    above, over all recalls rather than eleven. Recall refers to the true regions of all clips. None
    without fakes; 0 without proposals.

    Args:
        runs: proposals of all clips.
        overlap: IoU threshold in per cent, at least 50, so that no two proposals match one region.
    """
    if not runs.regions:
        return None
    if not runs.clip.size:
        return 0.0
    order = np.argsort(-runs.confidence, kind="stable")
    last = np.flatnonzero(np.diff(runs.confidence[order], append=-1.0))  # last of each confidence
    right = np.cumsum(runs.hits(overlap)[order])[last]
    precision = np.maximum.accumulate((right / (last + 1))[::-1])[::-1]
    return float(np.diff(right, prepend=0) @ precision / runs.regions)


def recall_at(runs: Proposals, limit: int) -> float | None:
    """Return AR@N: the recall of true regions by the N = ``limit`` most confident proposals a clip.

    The mean over IoU thresholds of 50, 55, ... 95 per cent. False alarms do not count. None without
    fakes.
    """
    if not runs.regions:
        return None
    order = np.lexsort((-runs.confidence, runs.clip))
    clip = runs.clip[order]
    chosen = order[np.arange(clip.size) - np.searchsorted(clip, clip) < limit]
    hits = sum(int(runs.hits(overlap)[chosen].sum()) for overlap in OVERLAPS)
    return hits / (len(OVERLAPS) * runs.regions)


def mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean of ``values``, None if one of them is undefined."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if len(defined) == len(values) else None
