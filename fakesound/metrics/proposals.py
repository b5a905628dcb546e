"""Average precision of found regions, as temporal action localisation measures it.

A proposal is a run of frames called fake; its confidence is the mean score of its frames. The
thresholds of overlap and their mean are those of ActivityNet (Caba Heilbron et al. 2015), with
which CFPRF reports partly fake speech (Wu et al. 2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from fakesound.metrics.frames import FrameTable

OVERLAPS = tuple(range(50, 100, 5))  # per cent of the union
DECIMALS = 9  # of a confidence; equal scores in runs of other lengths are the same confidence


@dataclass(frozen=True, eq=False)
class Proposals:
    """The runs of frames called fake, and how well each meets its best region.

    Attributes:
        clip: index of the clip of each proposal.
        confidence: mean score of its frames.
        common: microseconds that it shares with the region it overlaps best, 0 for none.
        union: microseconds that it and that region cover together.
        regions: number of true regions in all clips.
    """

    clip: Int[np.ndarray, " proposal"]
    confidence: Float[np.ndarray, " proposal"]
    common: Int[np.ndarray, " proposal"]
    union: Int[np.ndarray, " proposal"]
    regions: int

    def hits(self, overlap: int) -> Bool[np.ndarray, " proposal"]:
        """Return which proposals share ``overlap`` per cent, at least 50, with a region."""
        # of spans that do not touch, at most one shares half with another: no region has two hits
        hits: Bool[np.ndarray, " proposal"] = 100 * self.common >= overlap * self.union
        return hits & (self.common > 0)


def proposals(table: FrameTable, called: Bool[np.ndarray, " frame"]) -> Proposals:
    """Return the runs of ``called`` frames with the regions they overlap best."""
    runs, regions = table.spans(called), table.regions
    first = np.searchsorted(table.frame_edge, runs.onset)
    after = np.searchsorted(table.frame_edge, runs.offset)
    padded = np.append(table.frame_score.astype(np.float64), 0.0)
    total = np.add.reduceat(padded, np.stack((first, after), axis=1).ravel())[::2]
    mean = total / (after - first)
    # every region that has a part of a run lies in one range of regions
    nearest = np.searchsorted(regions.offset, runs.onset, side="right")
    count = np.searchsorted(regions.onset, runs.offset, side="left") - nearest
    run = np.repeat(np.arange(runs.clip.size), count)
    region = np.arange(run.size) + (nearest - np.cumsum(count) + count)[run]
    onsets, offsets = (
        (of_runs[run], of_regions[region])
        for of_runs, of_regions in ((runs.onset, regions.onset), (runs.offset, regions.offset))
    )
    shared = np.minimum(*offsets) - np.maximum(*onsets)
    whole = np.maximum(*offsets) - np.minimum(*onsets)
    common, union = np.zeros(runs.clip.size, dtype=np.int64), runs.offset - runs.onset
    best = np.lexsort((shared / whole, run))  # the best of each run comes last, and stays
    common[run[best]], union[run[best]] = shared[best], whole[best]
    return Proposals(runs.clip, np.round(mean, DECIMALS), common, union, regions.clip.size)


def ap_at(found: Proposals, overlap: int) -> float | None:
    """Return the average precision of found regions at ``overlap`` per cent of temporal IoU.

    Proposals of all clips are ranked together by confidence. One is right when its intersection
    with a true region of its clip is at least ``overlap`` per cent of their union; those of genuine
    clips are all wrong. The area is that under the interpolated curve: at each recall, the highest
    precision at that recall or a higher one, over all recalls rather than eleven. Proposals of
    equal confidence are admitted together. Recall is of all true regions of all clips, and ends
    where the frame threshold lets no more be found. None without fakes; 0 where nothing is found.

    Args:
        found: the proposals of all clips.
        overlap: per cent, at least 50, so that no two proposals can claim one region.
    """
    if not found.regions:
        return None
    if not found.clip.size:
        return 0.0
    order = np.argsort(-found.confidence, kind="stable")
    last = np.flatnonzero(np.diff(found.confidence[order], append=-1.0))  # of equally confident
    right = np.cumsum(found.hits(overlap)[order])[last]
    precision = np.maximum.accumulate((right / (last + 1))[::-1])[::-1]
    return float(np.diff(right, prepend=0) @ precision / found.regions)


def recall_at(found: Proposals, at_most: int) -> float | None:
    """Return AR@N: the recall of true regions by the N most confident proposals of each clip.

    Averaged over overlaps of 50, 55, ... 95 per cent; N is ``at_most``. False alarms do not count.
    None without fakes.
    """
    if not found.regions:
        return None
    order = np.lexsort((-found.confidence, found.clip))
    clip = found.clip[order]
    kept = order[np.arange(clip.size) - np.searchsorted(clip, clip) < at_most]
    hits = sum(int(found.hits(overlap)[kept].sum()) for overlap in OVERLAPS)
    return hits / (len(OVERLAPS) * found.regions)


def mean_of(values: Sequence[float | None]) -> float | None:
    """Return the mean of ``values``, None where one of them is undefined."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if len(defined) == len(values) else None
