"""The two definitions of segment EER in use.

Both pool the segments of all clips as trials. They differ in which segments are fake and in how the
frames of a segment are combined into one score, so compare only values of the same definition.
"""

import numpy as np
from jaxtyping import Bool, Float

from fakesound.metrics.frames import FrameTable, segments, starting_in, time_bins
from fakesound.metrics.ranking import EqualError, eer
from fakesound.metrics.scores import SCORE_RESOLUTION

DECIMALS = 9  # decimals of a mean logit, so that the order of summation does not break ties


def partialspoof_error(table: FrameTable, resolution: int) -> EqualError | None:
    """Return the segment EER of PartialSpoof (Zhang et al. 2023) at ``resolution`` microseconds.

    A segment is fake if a region overlaps it; its score is that of its highest frame. Segments do
    not overlap, and a shorter one at the end of a clip counts like any other. A frame that overlaps
    several segments counts in each. None unless there are segments of both classes.
    """
    trials = segments(table, resolution)
    return eer(trials.score, trials.fake)


def point_error(
    table: FrameTable, logits: Float[np.ndarray, " frame"], resolution: int
) -> EqualError | None:
    """Return the point EER of WeDefense at ``resolution`` microseconds; its threshold is a logit.

    None unless there are segments of both classes; see `point_segments`.
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
    """Return the score and the class of each segment, as defined by WeDefense.

    A segment is fake if it starts inside a region; its score is the mean of the ``logits`` of its
    frames, weighted by their time in the segment.
    """
    bins = time_bins(table, resolution)
    # whole frames, minus the parts of the first and the last frame outside the segment
    weighted = np.append(logits * np.diff(table.frame_edge), 0.0)
    total = np.add.reduceat(weighted, np.stack((bins.first, bins.after), axis=1).ravel())[::2]
    total -= logits[bins.first] * (bins.edge[:-1] - table.frame_edge[bins.first])
    total -= logits[bins.after - 1] * (table.frame_edge[bins.after] - bins.edge[1:])
    mean = np.round(total / np.diff(bins.edge), DECIMALS)
    return mean, starting_in(bins.edge, table.regions)
