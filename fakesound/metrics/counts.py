"""Clips or frames gathered by score, with weights: the common ground of all ranking metrics.

Weights carry a leading axis of bootstrap draws, of length one for a point estimate, so that a
value and its interval come from the same lines. Inside this package an undefined value is NaN in
an array of draws; :func:`number` turns it into None for callers.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """Weight of fakes and of genuines at each distinct score, from the highest score down.

    Between two levels lies a possible threshold, so tied scores are never ranked by their order.
    """

    score: Float[np.ndarray, " level"]
    fake: Float[np.ndarray, "draw level"]
    genuine: Float[np.ndarray, "draw level"]

    @cached_property
    def caught(self) -> Float[np.ndarray, "draw level"]:
        """Weight of fakes from the highest level down to each."""
        return np.cumsum(self.fake, axis=1)

    @cached_property
    def alarmed(self) -> Float[np.ndarray, "draw level"]:
        """Weight of genuines from the highest level down to each."""
        return np.cumsum(self.genuine, axis=1)


def score_counts(
    scores: Float[np.ndarray, " item"],
    fake: Shaped[np.ndarray, "draw item"],
    genuine: Shaped[np.ndarray, "draw item"],
) -> ScoreCounts:
    """Return ``scores`` with their weights as fakes and as genuines, gathered by equal score."""
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    first = np.flatnonzero(np.diff(ordered, prepend=np.inf))
    weights = [weight[:, order].astype(np.float64) for weight in (fake, genuine)]
    if first.size < order.size:
        weights = [np.add.reduceat(weight, first, axis=1) for weight in weights]
    return ScoreCounts(ordered[first], *weights)


def point_counts(
    scores: Float[np.ndarray, " item"], fake: Bool[np.ndarray, " item"]
) -> ScoreCounts:
    """Return `score_counts` of the single draw of a point estimate, each item counting once."""
    return score_counts(scores, fake[None], ~fake[None])


def ratio(
    part: Float[np.ndarray, "*shape"], whole: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    """Return ``part / whole``, NaN where the whole is zero."""
    share = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=share, where=whole > 0)
    return share


def weighted_mean(
    values: Shaped[np.ndarray, " item"],
    chosen: Bool[np.ndarray, " item"],
    weights: Float[np.ndarray, "draw item"],
) -> Float[np.ndarray, " draw"]:
    """Return the mean of the chosen ``values`` in each draw, NaN where none is chosen."""
    return ratio(weights @ np.where(chosen, values, 0.0), weights @ chosen.astype(np.float64))


def number(values: Float[np.ndarray, "1"]) -> float | None:
    """Return the value of a point estimate, None where it is undefined."""
    return None if np.isnan(values[0]) else float(values[0])


def error_rates(
    at: ScoreCounts,
) -> tuple[Float[np.ndarray, "draw cut"], Float[np.ndarray, "draw cut"]]:
    """Return the rates of missed fakes and of false alarms at every cut between levels.

    The first cut calls everything genuine, the last one everything fake; cut ``i`` calls the first
    ``i`` levels fake. NaN in draws without fakes, or without genuines.
    """
    caught, alarmed = (np.pad(sums, ((0, 0), (1, 0))) for sums in (at.caught, at.alarmed))
    fakes, genuines = (np.broadcast_to(sums[:, -1:], sums.shape) for sums in (caught, alarmed))
    return ratio(fakes - caught, fakes), ratio(alarmed, genuines)


def nearest_rates(
    missed: Float[np.ndarray, "draw cut"], alarmed: Float[np.ndarray, "draw cut"]
) -> Int[np.ndarray, " draw"]:
    """Return the cut of each draw at which the two rates differ least, the first if several do."""
    # rounded, so that rounding errors do not decide between cuts that are equally far apart
    gap = np.round(np.abs(missed - alarmed), 12)
    cut: Int[np.ndarray, " draw"] = np.argmin(gap, axis=1)
    return cut
