"""The two segment EERs in use, which are different measures of the same scores.

Both make every segment of every clip one trial and pool them. They differ in which segments are
fake and in how the frames of a segment become one score, so compare a figure only with figures of
the same definition.
"""

import numpy as np
from jaxtyping import Bool, Float

from fakesound.metrics.frames import FrameTable, divided, segments, starting_in
from fakesound.metrics.ranking import EqualError, eer
from fakesound.metrics.scores import SCORE_RESOLUTION

DECIMALS = 9  # of a mean logit; sums of equal frames in another order are the same score


def partialspoof_error(table: FrameTable, resolution: int) -> EqualError | None:
    """Return the segment EER of PartialSpoof (Zhang et al. 2023) at ``resolution`` microseconds.

    A segment is fake when any part of it lies in a region; its score is that of its most fake
    frame. Segments do not overlap, and the shorter one at a clip's end counts like any other.
    Frames longer than a segment are repeated, and one that reaches into several segments counts in
    each. None unless there are both fake and genuine segments.
    """
    found = segments(table, resolution)
    return eer(found.score, found.fake)


def point_error(
    table: FrameTable, logits: Float[np.ndarray, " frame"], resolution: int
) -> EqualError | None:
    """Return the point EER of WeDefense at ``resolution`` microseconds; its threshold is a logit.

    None unless there are both fake and genuine segments; see `point_segments`.
    """
    return eer(*point_segments(table, logits, resolution))


def frame_logits(table: FrameTable) -> Float[np.ndarray, " frame"]:
    """Return the log odds of each frame score, clipped as :func:`fakesound.metrics.logit` does."""
    score = np.clip(table.frame_score.astype(np.float64), SCORE_RESOLUTION, 1 - SCORE_RESOLUTION)
    logits: Float[np.ndarray, " frame"] = np.log(score / (1 - score))
    return logits


def point_segments(
    table: FrameTable, logits: Float[np.ndarray, " frame"], resolution: int
) -> tuple[Float[np.ndarray, " segment"], Bool[np.ndarray, " segment"]]:
    """Return the score of each segment, and whether it is fake, as WeDefense defines them.

    A segment is fake when the instant at which it starts lies in a region; its score is the mean
    of the ``logits`` of its frames, each weighted by its time in the segment.
    """
    bins = divided(table, resolution)
    # whole frames, less the parts of the first and the last one outside of the segment
    weighted = np.append(logits * np.diff(table.frame_edge), 0.0)
    total = np.add.reduceat(weighted, np.stack((bins.first, bins.after), axis=1).ravel())[::2]
    total -= logits[bins.first] * (bins.edge[:-1] - table.frame_edge[bins.first])
    total -= logits[bins.after - 1] * (table.frame_edge[bins.after] - bins.edge[1:])
    mean = np.round(total / np.diff(bins.edge), DECIMALS)
    return mean, starting_in(bins.edge, table.regions)
