"""Detection costs of ASVspoof 5: minDCF, actDCF and Cllr.

Wang et al., "ASVspoof 5: Crowdsourced Speech Data, Deepfakes, and Adversarial Attacks at Scale"
(2024) and its evaluation plan. There a score is the log likelihood ratio of bona fide to spoof;
here a logit is that of fake to genuine, so the sign is reversed.
"""

from math import log

import numpy as np
from jaxtyping import Bool, Float

from fakesound.metrics.counts import ScoreCounts, error_rates, number, point_counts, weighted_mean

P_SPOOF = 0.05
COST_OF_REJECTION = 1.0  # C_miss: a genuine clip called fake
COST_OF_ACCEPTANCE = 10.0  # C_fa: a fake called genuine


def min_dcf(logits: Float[np.ndarray, " clip"], fake: Bool[np.ndarray, " clip"]) -> float | None:
    """Return the lowest normalised detection cost over all thresholds.

    ``min_t [C_miss (1 - P_spoof) P(genuine called fake) + C_fa P_spoof P(fake called genuine)]``,
    divided by the cost of the better constant answer; 1 is worthless. It depends only on the order
    of the logits. None unless there are clips of both classes.
    """
    return number(min_dcf_draws(point_counts(logits, fake)))


def min_dcf_draws(counts: ScoreCounts) -> Float[np.ndarray, " draw"]:
    """Return :func:`min_dcf` in each draw, NaN if it is undefined."""
    lowest: Float[np.ndarray, " draw"] = _cost(*error_rates(counts)).min(axis=1)
    return lowest


def act_dcf_draws(
    logits: Float[np.ndarray, " clip"],
    fake: Bool[np.ndarray, " clip"],
    weights: Float[np.ndarray, "draw clip"],
) -> Float[np.ndarray, " draw"]:
    """Return the normalised detection cost at the optimal threshold of calibrated logits.

    As :func:`min_dcf`, at ``logit > log(C_miss (1 - P_spoof) / (C_fa P_spoof)) = log 1.9``. The
    difference to ``min_dcf`` is the cost of miscalibration. NaN unless there are clips of both
    classes.
    """
    called = logits > log(COST_OF_REJECTION * (1 - P_SPOOF) / (COST_OF_ACCEPTANCE * P_SPOOF))
    return _cost(weighted_mean(~called, fake, weights), weighted_mean(called, ~fake, weights))


def cllr(logits: Float[np.ndarray, " clip"], fake: Bool[np.ndarray, " clip"]) -> float | None:
    """Return the cost of the log likelihood ratio in bits: 0 is perfect, 1 carries no information.

    ``(mean over genuines of log2(1 + exp(logit)) + mean over fakes of log2(1 + exp(-logit))) / 2``
    (Bruemmer and du Preez 2006). None unless there are clips of both classes.
    """
    return number(cllr_draws(logits, fake, np.ones((1, fake.size))))


def cllr_draws(
    logits: Float[np.ndarray, " clip"],
    fake: Bool[np.ndarray, " clip"],
    weights: Float[np.ndarray, "draw clip"],
) -> Float[np.ndarray, " draw"]:
    """Return :func:`cllr` in each draw, NaN if it is undefined."""
    bits = np.logaddexp(0.0, np.where(fake, -logits, logits)) / log(2)
    fake_bits, genuine_bits = (weighted_mean(bits, kind, weights) for kind in (fake, ~fake))
    mean: Float[np.ndarray, " draw"] = (fake_bits + genuine_bits) / 2
    return mean


def _cost(
    misses: Float[np.ndarray, "*shape"], false_alarms: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    rejection = COST_OF_REJECTION * (1 - P_SPOOF)
    acceptance = COST_OF_ACCEPTANCE * P_SPOOF
    cost: Float[np.ndarray, "*shape"] = rejection * false_alarms + acceptance * misses
    return cost / min(rejection, acceptance)
