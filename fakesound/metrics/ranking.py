"""Threshold-free metrics: how well scores rank fake items above genuine ones.

Functions whose name ends in ``_draws`` return the value of each bootstrap draw, NaN if undefined.
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
    """Equal error rate and its threshold.

    Attributes:
        rate: mean of the two error rates at the threshold.
        threshold: score above which an item is called fake.
    """

    rate: float
    threshold: float


def auc(scores: Float[np.ndarray, " item"], fake: Bool[np.ndarray, " item"]) -> float | None:
    """Return the area under the ROC curve: P(a fake item scores higher than a genuine one).

    Ties count half (Hanley and McNeil 1982). None unless there are items of both classes.
    """
    return number(auc_draws(point_counts(scores, fake)))


def auc_draws(counts: ScoreCounts) -> Float[np.ndarray, " draw"]:
    """Return :func:`auc` in each draw."""
    above = counts.true_positives - counts.fake / 2
    pairs = counts.fake.sum(axis=1) * counts.genuine.sum(axis=1)
    return ratio((above * counts.genuine).sum(axis=1), pairs)


def average_precision_draws(counts: ScoreCounts) -> Float[np.ndarray, " draw"]:
    """Return the average precision in each draw.

    The step-wise area under the precision-recall curve, without interpolation (Manning et al.
    2008, section 8.4). NaN without fake items, and without genuine ones: any ranking would score 1.
    """
    called = counts.true_positives + counts.false_positives
    # levels above the highest score of a draw have weight 0 and no precision
    area = (counts.fake * counts.true_positives / np.where(called > 0, called, 1.0)).sum(axis=1)
    fakes = np.where(counts.genuine.sum(axis=1) > 0, counts.fake.sum(axis=1), 0.0)
    return ratio(area, fakes)


def eer(scores: Float[np.ndarray, " item"], fake: Bool[np.ndarray, " item"]) -> EqualError | None:
    """Return the equal error rate, at which the miss rate equals the false-alarm rate.

    The mean of the two rates at the highest threshold where they differ least, without
    interpolation, as in the ASVspoof challenges (Wang et al. 2024). None unless there are items of
    both classes.
    """
    counts = point_counts(scores, fake)
    rate = number(eer_draws(counts))
    if rate is None:
        return None
    cut = nearest_rates(*error_rates(counts))[0]
    # the levels before the cut are the scores above this threshold
    return EqualError(rate, float(np.append(counts.score, -np.inf)[cut]))


def eer_draws(counts: ScoreCounts) -> Float[np.ndarray, " draw"]:
    """Return the rate of :func:`eer` in each draw."""
    misses, false_alarms = error_rates(counts)
    cut = nearest_rates(misses, false_alarms)[:, None]
    return np.take_along_axis((misses + false_alarms) / 2, cut, axis=1)[:, 0]
