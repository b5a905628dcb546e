"""Whether a score of 0.8 means that eight such clips in ten are fake."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from fakesound.metrics.counts import ratio

BINS = 15


@dataclass(frozen=True, eq=False)
class Reliability:
    """Points of a reliability diagram, one for each bin that holds a clip.

    Attributes:
        score: mean score of the bin's clips.
        share_fake: share of them that is fake; equal to ``score`` when calibrated.
        clips: number of the bin's clips.
    """

    score: Float[np.ndarray, " bin"]
    share_fake: Float[np.ndarray, " bin"]
    clips: Float[np.ndarray, " bin"]


def ece_draws(
    scores: Float[np.ndarray, " clip"],
    fake: Bool[np.ndarray, " clip"],
    weights: Float[np.ndarray, "draw clip"],
) -> Float[np.ndarray, " draw"]:
    """Return the expected calibration error of P(fake) in each draw, NaN where there are no clips.

    The mean over clips of ``|mean score - share of fakes|`` in the clip's bin, over 15 bins of
    equal width on [0, 1] (Naeini et al. 2015; Guo et al. 2017 take the winning class's confidence
    instead of P(fake)). A score on an edge belongs to the bin above.
    """
    excess = np.zeros((scores.size, BINS))
    excess[np.arange(scores.size), _bins(scores)] = scores - fake
    return ratio(np.abs(weights @ excess).sum(axis=1), weights.sum(axis=1))


def reliability(scores: Float[np.ndarray, " clip"], fake: Bool[np.ndarray, " clip"]) -> Reliability:
    """Return the points of the reliability diagram behind :func:`ece_draws`."""
    bins = _bins(scores)
    clips, score, fakes = (
        # bincount of nothing forgets that its weights are floats
        np.bincount(bins, value, minlength=BINS).astype(np.float64)
        for value in (np.ones(fake.size), scores, fake)
    )
    held = clips > 0
    return Reliability(score[held] / clips[held], fakes[held] / clips[held], clips[held])


def equal_weights(
    fake: Bool[np.ndarray, " clip"], clips: Float[np.ndarray, " clip"] | None = None
) -> Float[np.ndarray, " clip"]:
    """Return weights in proportion to ``clips`` that sum to a half over fakes and over genuines."""
    count = np.ones(fake.size) if clips is None else clips
    of_kind = np.where(fake, count[fake].sum(), count[~fake].sum())
    weights: Float[np.ndarray, " clip"] = count / (2 * of_kind)
    return weights


def _bins(scores: Float[np.ndarray, " clip"]) -> Int[np.ndarray, " clip"]:
    return np.minimum((scores * BINS).astype(np.int64), BINS - 1)
