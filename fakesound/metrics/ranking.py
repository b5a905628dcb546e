"""How well scores rank fakes above genuines, whatever the threshold.

The form with ``_draws`` at its end returns the value of each bootstrap draw, NaN where undefined.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from fakesound.metrics.counts import (
    ScoreCounts,
    error_rates,
    nearest_rates,
    number,
    point_counts,
    ratio,
)


@dataclass(frozen=True)
class EqualError:
    """The equal error rate and the threshold it is reached at.

    Attributes:
        rate: mean of the two error rates at the threshold.
        threshold: scores above it are called fake.
    """

    rate: float
    threshold: float


def auc(scores: Float[np.ndarray, " item"], fake: Bool[np.ndarray, " item"]) -> float | None:
    """Return the area under the ROC curve: P(a fake outscores a genuine), ties counting half.

    Hanley and McNeil (1982). None unless there are both fakes and genuines.
    """
    return number(auc_draws(point_counts(scores, fake)))


def auc_draws(at: ScoreCounts) -> Float[np.ndarray, " draw"]:
    """Return :func:`auc` in each draw."""
    above = at.caught - at.fake / 2
    pairs = at.fake.sum(axis=1) * at.genuine.sum(axis=1)
    return ratio((above * at.genuine).sum(axis=1), pairs)


def average_precision_draws(at: ScoreCounts) -> Float[np.ndarray, " draw"]:
    """Return the mean, over the fakes, of the precision at the threshold that just admits each.

    The step-wise area under the precision-recall curve, without interpolation (Manning et al.
    2008, section 8.4). NaN without fakes, and without genuines: every ranking would score one.
    """
    called = at.caught + at.alarmed
    # levels before the first one that a draw holds have no precision and no weight
    area = (at.fake * at.caught / np.where(called > 0, called, 1.0)).sum(axis=1)
    fakes = np.where(at.genuine.sum(axis=1) > 0, at.fake.sum(axis=1), 0.0)
    return ratio(area, fakes)


def eer(scores: Float[np.ndarray, " item"], fake: Bool[np.ndarray, " item"]) -> EqualError | None:
    """Return the equal error rate, where fakes are missed as often as genuines raise an alarm.

    The mean of the two rates at the threshold where they differ least, without interpolation, as
    in the ASVspoof challenges (Wang et al. 2024). Of several such thresholds the highest is taken.
    None unless there are both fakes and genuines.
    """
    at = point_counts(scores, fake)
    rate = number(eer_draws(at))
    if rate is None:
        return None
    cut = nearest_rates(*error_rates(at))[0]
    # scores above it are exactly those of the levels before the cut
    return EqualError(rate, float(np.append(at.score, -np.inf)[cut]))


def eer_draws(at: ScoreCounts) -> Float[np.ndarray, " draw"]:
    """Return the rate of :func:`eer` in each draw."""
    missed, alarmed = error_rates(at)
    cut = nearest_rates(missed, alarmed)[:, None]
    return np.take_along_axis((missed + alarmed) / 2, cut, axis=1)[:, 0]
