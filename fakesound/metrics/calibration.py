"""Calibration of clip scores: expected calibration error and reliability diagrams."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from fakesound.metrics.counts import ratio

BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """Points of a reliability diagram, one for each bin that holds a clip.

    Attributes:
        score: mean score of the clips in the bin.
        share_fake: share of fake clips in the bin; equal to ``score`` if calibrated.
        clips: number of clips in the bin.
    """

    score: Float[np.ndarray, " bin"]
    share_fake: Float[np.ndarray, " bin"]
    clips: Float[np.ndarray, " bin"]


def ece_draws(
    scores: Float[np.ndarray, " clip"],
    fake: Bool[np.ndarray, " clip"],
    weights: Float[np.ndarray, "draw clip"],
) -> Float[np.ndarray, " draw"]:
    """Return the expected calibration error of P(fake) in each draw, NaN without clips.

    The mean over clips of ``|mean score - share of fakes|`` in the clip's bin, with 15 bins of
    equal width on [0, 1] (Naeini et al. 2015; Guo et al. 2017 use the confidence of the predicted
    class instead of P(fake)). A score on an edge belongs to the upper bin.
    """
    excess = np.zeros((scores.size, BINS))
    excess[np.arange(scores.size), _bins(scores)] = scores - fake
    return ratio(np.abs(weights @ excess).sum(axis=1), weights.sum(axis=1))


def reliability(scores: Float[np.ndarray, " clip"], fake: Bool[np.ndarray, " clip"]) -> Reliability:
    """Return the points of the reliability diagram behind :func:`ece_draws`."""
    bins = _bins(scores)
    clips, score, fakes = (
        # without clips, bincount returns integers
        np.bincount(bins, value, minlength=BINS).astype(np.float64)
        for value in (np.ones(fake.size), scores, fake)
    )
    used = clips > 0
    return Reliability(score[used] / clips[used], fakes[used] / clips[used], clips[used])


def equal_weights(
    fake: Bool[np.ndarray, " clip"], clips: Float[np.ndarray, " clip"] | None = None
) -> Float[np.ndarray, " clip"]:
    """Return weights proportional to ``clips`` that sum to 0.5 over each class."""
    count = np.ones(fake.size) if clips is None else clips
    total = np.where(fake, count[fake].sum(), count[~fake].sum())
    weights: Float[np.ndarray, " clip"] = count / (2 * total)
    return weights


def _bins(scores: Float[np.ndarray, " clip"]) -> Int[np.ndarray, " clip"]:
    return np.minimum((scores * BINS).astype(np.int64), BINS - 1)
