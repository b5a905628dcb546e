"""Metrics of boundary scores: how well the edges of fake regions are detected."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from fakesound.metrics.counts import point_counts
from fakesound.metrics.scores import REGION_TOLERANCE, ClipScore
from fakesound.timeline import merge_regions, microseconds

TOLERANCE = 40_000  # microseconds
MIN_DISTANCE = 3  # frames between peaks; of two closer ones, the lower is dropped
UNDECIDED = 0.5


@dataclass(frozen=True, eq=False)
class Edges:
    """Peaks of the boundary scores of several clips, matched with the true edges.

    Attributes:
        score: height of each peak.
        right: whether each peak matches a true edge within 40 ms; higher peaks match first.
        threshold: threshold of the peak's clip.
        true: number of true edges.
    """

    score: Float[np.ndarray, " peak"]
    right: Bool[np.ndarray, " peak"]
    threshold: Float[np.ndarray, " peak"]
    true: int


def boundary_block(scores: Sequence[ClipScore]) -> dict[str, int | float | None] | None:
    """Return the boundary metrics over all clips; None for a system without boundary scores.

    An edge is the start or end of a fake region inside the clip. It is found if a peak of the
    boundary scores, at the middle of its frame, lies within 40 ms. ``ap`` is the average precision
    of all peaks; ``precision``, ``recall`` and ``f1_40ms`` are computed at each clip's threshold.
    Undefined metrics are None.
    """
    clips = [clip for clip in scores if clip.boundary_scores.size]
    if not clips:
        return None
    edges = find_edges(clips)
    called = edges.score > edges.threshold
    right, predicted = int((edges.right & called).sum()), int(called.sum())
    return {
        "edges": edges.true,
        "ap": _average_precision(edges),
        "precision": right / predicted if predicted else None,
        "recall": right / edges.true if edges.true else None,
        "f1_40ms": 2 * right / (predicted + edges.true) if edges.true else None,
    }


def boundary_threshold(scores: Sequence[ClipScore]) -> float | None:
    """Return the threshold, midway between peaks, with the highest F1 on validation clips.

    0.5 if no peak matches an edge; None for a system without boundary scores.
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
    """Match the peaks of the boundary scores of ``clips`` with their true edges."""
    score: list[np.ndarray] = []
    right: list[np.ndarray] = []
    threshold: list[np.ndarray] = []
    true = 0
    for clip in clips:
        frames, heights = peaks(clip.boundary_scores)
        edges = true_edges(clip)
        step = microseconds(clip.frame_step)
        right.append(_match_peaks(frames * step + step // 2, edges))
        score.append(heights)
        threshold.append(np.full(len(heights), clip.boundary_threshold))
        true += len(edges)
    return Edges(np.concatenate(score), np.concatenate(right), np.concatenate(threshold), true)


def true_edges(clip: ClipScore) -> Int[np.ndarray, " edge"]:
    """Return the edges of fake regions inside the clip, in microseconds."""
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
    """Return the frames and heights of the peaks of ``scores``, highest first."""
    # padded, so that the first and the last frame can be peaks
    padded = np.pad(scores.astype(np.float64), 1, constant_values=-1.0)
    # imported here: slow, and detection needs no peaks
    from scipy.signal import find_peaks

    indices, _ = find_peaks(padded, distance=MIN_DISTANCE)
    heights = padded[indices]
    order = np.argsort(-heights, kind="stable")
    return indices[order] - 1, heights[order]


def _match_peaks(
    peak_times: Int[np.ndarray, " peak"], edges: Int[np.ndarray, " edge"]
) -> Bool[np.ndarray, " peak"]:
    """Return which peaks, highest first, lie near the closest edge that is still unmatched."""
    right = np.zeros(len(peak_times), dtype=bool)
    unmatched = edges.copy()
    for index, time in enumerate(peak_times):
        if not unmatched.size:
            break
        nearest = int(np.argmin(np.abs(unmatched - time)))
        if abs(unmatched[nearest] - time) <= TOLERANCE:
            right[index] = True
            unmatched = np.delete(unmatched, nearest)
    return right


def _average_precision(edges: Edges) -> float | None:
    if not edges.true:
        return None
    _, right, called = _counts(edges)
    precision = right / called
    # edges without a peak count as never recalled
    return float(np.diff(right, prepend=0) @ precision / edges.true)


def _counts(edges: Edges) -> Float[np.ndarray, "3 level"]:
    """Return each distinct height, highest first, and the matched and all peaks at or above it."""
    counts = point_counts(edges.score, edges.right)
    right = counts.true_positives[0]
    return np.stack((counts.score, right, right + counts.false_positives[0]))
