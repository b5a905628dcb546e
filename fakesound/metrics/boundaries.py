"""Detection of the edges of fake regions, by boundary scores."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from fakesound.metrics.counts import point_counts
from fakesound.metrics.scores import REGION_TOLERANCE, ClipScore
from fakesound.timeline import merge_regions, microseconds

TOLERANCE = 40_000  # microseconds
# frames; of two peaks nearer than this, only the higher one counts
APART = 3
UNDECIDED = 0.5


@dataclass(frozen=True, eq=False)
class Edges:
    """Peaks of the boundary scores of several clips, compared with the true edges.

    Attributes:
        score: height of each peak.
        right: whether a true edge that no higher peak has taken lies within 40 ms.
        threshold: threshold of the peak's clip.
        true: number of true edges.
    """

    score: Float[np.ndarray, " peak"]
    right: Bool[np.ndarray, " peak"]
    threshold: Float[np.ndarray, " peak"]
    true: int


def boundary_block(scores: Sequence[ClipScore]) -> dict[str, int | float | None] | None:
    """Return how well edges are found, over all clips; None for a system without boundary scores.

    An edge is where a fake region begins or ends inside the clip; it is found by a peak of the
    boundary scores, at the middle of its frame, within 40 ms. ``ap`` is the average precision of
    all peaks, where edges without a peak are never recalled; ``precision``, ``recall`` and
    ``f1_40ms`` are of the peaks above each clip's threshold. Undefined figures are None.
    """
    clips = [clip for clip in scores if clip.boundary_scores.size]
    if not clips:
        return None
    edges = find_edges(clips)
    called = edges.score > edges.threshold
    right, found = int((edges.right & called).sum()), int(called.sum())
    return {
        "edges": edges.true,
        "ap": _average_precision(edges),
        "precision": right / found if found else None,
        "recall": right / edges.true if edges.true else None,
        "f1_40ms": 2 * right / (found + edges.true) if edges.true else None,
    }


def boundary_threshold(scores: Sequence[ClipScore]) -> float | None:
    """Return the threshold midway between peaks that has the highest F1 on validation clips.

    0.5 if no peak is right; None for a system without boundary scores.
    """
    clips = [clip for clip in scores if clip.boundary_scores.size]
    if not clips:
        return None
    edges = find_edges(clips)
    if not edges.right.any():
        return UNDECIDED
    height, right, called = _counts(edges)
    below = np.append(height[1:], 0.0)
    return float((height + below)[np.argmax(2 * right / (called + edges.true))] / 2)


def find_edges(clips: Sequence[ClipScore]) -> Edges:
    """Return the peaks of the boundary scores of ``clips``, matched from the highest down."""
    score: list[np.ndarray] = []
    right: list[np.ndarray] = []
    threshold: list[np.ndarray] = []
    true = 0
    for clip in clips:
        places, heights = peaks(clip.boundary_scores)
        edges = true_edges(clip)
        step = microseconds(clip.frame_step)
        right.append(_matched(places * step + step // 2, edges))
        score.append(heights)
        threshold.append(np.full(len(heights), clip.boundary_threshold))
        true += len(edges)
    return Edges(np.concatenate(score), np.concatenate(right), np.concatenate(threshold), true)


def true_edges(clip: ClipScore) -> Int[np.ndarray, " edge"]:
    """Return where fake regions begin or end inside the clip, in microseconds."""
    end = microseconds(clip.duration - REGION_TOLERANCE)
    times = {
        microseconds(time)
        for region in merge_regions(clip.regions)
        for time in (region.onset, region.offset)
    }
    return np.array(sorted(time for time in times if 0 < time < end), dtype=np.int64)


def peaks(
    scores: Float[np.ndarray, " frame"],
) -> tuple[Int[np.ndarray, " peak"], Float[np.ndarray, " peak"]]:
    """Return the frames where ``scores`` peak and how high, from the highest down."""
    # the first and the last frame may be peaks
    padded = np.pad(scores.astype(np.float64), 1, constant_values=-1.0)
    # slow to import, and a detection needs no peaks
    from scipy.signal import find_peaks

    places, _ = find_peaks(padded, distance=APART)
    heights = padded[places]
    order = np.argsort(-heights, kind="stable")
    return places[order] - 1, heights[order]


def _matched(
    found: Int[np.ndarray, " peak"], edges: Int[np.ndarray, " edge"]
) -> Bool[np.ndarray, " peak"]:
    """Return which peaks, the highest first, have the nearest edge not yet taken in reach."""
    right = np.zeros(len(found), dtype=bool)
    free = edges.copy()
    for place, time in enumerate(found):
        if not free.size:
            break
        nearest = int(np.argmin(np.abs(free - time)))
        if abs(free[nearest] - time) <= TOLERANCE:
            right[place] = True
            free = np.delete(free, nearest)
    return right


def _average_precision(edges: Edges) -> float | None:
    if not edges.true:
        return None
    _, right, called = _counts(edges)
    precision = right / called
    # recall counts edges without a peak too
    return float(np.diff(right, prepend=0) @ precision / edges.true)


def _counts(edges: Edges) -> Float[np.ndarray, "3 level"]:
    """Return each distinct height, from the top, with the right and with all peaks down to it."""
    at = point_counts(edges.score, edges.right)
    right = np.cumsum(at.fake[0])
    return np.stack((at.score, right, right + np.cumsum(at.genuine[0])))
