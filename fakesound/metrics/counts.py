"""Weighted counts of clips or frames at each score: the basis of all ranking metrics.

Weights have a leading axis of bootstrap draws, of length one for a point estimate, so that a value
and its interval come from the same code. An undefined value is NaN in an array of draws, which
:func:`number` converts to None.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """Weight of fake and of genuine items at each distinct score ("level"), highest score first.

    Thresholds lie between levels, so the order of tied scores has no effect.
    """

    score: Float[np.ndarray, " level"]
    fake: Float[np.ndarray, "draw level"]
    genuine: Float[np.ndarray, "draw level"]

    @cached_property
    def true_positives(self) -> Float[np.ndarray, "draw level"]:
        """Weight of the fakes at each level and above."""
        return np.cumsum(self.fake, axis=1)

    @cached_property
    def false_positives(self) -> Float[np.ndarray, "draw level"]:
        """Weight of the genuine items at each level and above."""
        return np.cumsum(self.genuine, axis=1)


def score_counts(
    scores: Float[np.ndarray, " item"],
    fake: Shaped[np.ndarray, "draw item"],
    genuine: Shaped[np.ndarray, "draw item"],
) -> ScoreCounts:
    """Sum the weights of fake and of genuine items at each distinct score.

    Weights must be whole numbers: the order of tied scores, which depends on the processor, then
    has no effect on their sums.
    """
    # many times faster than a stable sort
    order = np.argsort(-scores)
    return sorted_counts(scores[order], fake[:, order], genuine[:, order])


def sorted_counts(
    scores: Float[np.ndarray, " item"],
    fake: Shaped[np.ndarray, "draw item"],
    genuine: Shaped[np.ndarray, "draw item"],
) -> ScoreCounts:
    """Return `score_counts` of items that are sorted from the highest score down."""
    first = np.flatnonzero(np.diff(scores, prepend=np.inf))
    if first.size < scores.size:
        fake, genuine = (
            np.add.reduceat(weight, first, axis=1, dtype=np.float64) for weight in (fake, genuine)
        )
    return ScoreCounts(scores[first], fake.astype(np.float64), genuine.astype(np.float64))


def point_counts(
    scores: Float[np.ndarray, " item"], fake: Bool[np.ndarray, " item"]
) -> ScoreCounts:
    """Return `score_counts` of a point estimate: a single draw in which each item counts once."""
    return score_counts(scores, fake[None], ~fake[None])


def ratio(
    part: Float[np.ndarray, "*shape"], whole: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """Return ``part / whole``, NaN where ``whole`` is 0."""
    share = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def weighted_mean(
    values: Shaped[np.ndarray, " item"],
    chosen: Bool[np.ndarray, " item"],
    weights: Float[np.ndarray, "draw item"],
) -> Float[np.ndarray, " draw"]:
    """Return the weighted mean of the chosen ``values`` in each draw, NaN if none is chosen."""
    return ratio(weights @ np.where(chosen, values, 0.0), weights @ chosen.astype(np.float64))


def number(values: Float[np.ndarray, "1"]) -> float | None:
    """Return the value of a point estimate, None if it is undefined."""
    return None if np.isnan(values[0]) else float(values[0])


def error_rates(
    counts: ScoreCounts,
) -> tuple[Float[np.ndarray, "draw cut"], Float[np.ndarray, "draw cut"]]:
    """Return the miss rate and the false-alarm rate at each cut between levels.

    Cut ``i`` calls the first ``i`` levels fake: the first cut nothing, the last one everything. NaN
    in draws without fake items, or without genuine ones.
    """
    true, false = (
        np.pad(sums, ((0, 0), (1, 0))) for sums in (counts.true_positives, counts.false_positives)
    )
    fakes, genuine = (np.broadcast_to(sums[:, -1:], sums.shape) for sums in (true, false))
    return ratio(fakes - true, fakes), ratio(false, genuine)


def nearest_rates(
    misses: Float[np.ndarray, "draw cut"], false_alarms: Float[np.ndarray, "draw cut"]
) -> Int[np.ndarray, " draw"]:
    """Return the first cut of each draw at which the two rates differ least."""
    # rounded: rounding errors must not decide between equal differences
    gap = np.round(np.abs(misses - false_alarms), 12)
    cut: Int[np.ndarray, " draw"] = np.argmin(gap, axis=1)
    return cut
