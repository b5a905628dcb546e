"""Costs of a system's scores for a user with a prior: the measures of ASVspoof 5.

Wang et al., "ASVspoof 5: Crowdsourced Speech Data, Deepfakes, and Adversarial Attacks at Scale"
(2024) and its evaluation plan. There a higher score means bona fide and is read as the log
likelihood ratio of bona fide to spoof; here a higher logit means fake, so the ratio is the logit
with its sign turned.
"""

from math import log

import numpy as np
from jaxtyping import Bool, Float

from fakesound.metrics.counts import (
    ScoreCounts,
    error_rates,
    number,
    point_counts,
    weighted_mean,
)

P_SPOOF = 0.05
COST_OF_REJECTION = 1.0  # C_miss: a genuine clip called fake
COST_OF_ACCEPTANCE = 10.0  # C_fa: a fake called genuine


def min_dcf(logits: Float[np.ndarray, " clip"], fake: Bool[np.ndarray, " clip"]) -> float | None:
    """Return the lowest normalised detection cost that any threshold reaches.

    ``min_t [C_miss (1 - P_spoof) P(genuine called fake) + C_fa P_spoof P(fake called genuine)]``
    over the cost of the better of the two systems that ignore the audio; 1 is worthless. Depends
    on the order of the logits only. None unless there are both fakes and genuines.
    """
    return number(min_dcf_draws(point_counts(logits, fake)))


def min_dcf_draws(at: ScoreCounts) -> Float[np.ndarray, " draw"]:
    """Return :func:`min_dcf` in each draw, NaN where it is undefined."""
    lowest: Float[np.ndarray, " draw"] = _cost(*error_rates(at)).min(axis=1)
    return lowest


def act_dcf_draws(
    logits: Float[np.ndarray, " clip"],
    fake: Bool[np.ndarray, " clip"],
    weights: Float[np.ndarray, "draw clip"],
) -> Float[np.ndarray, " draw"]:
    """Return the normalised detection cost at the threshold that is right for calibrated logits.

    As :func:`min_dcf`, at ``logit > log(C_miss (1 - P_spoof) / (C_fa P_spoof)) = log 1.9``. Above
    ``min_dcf`` by the cost of miscalibration. NaN without fakes or without genuines.
    """
    called = logits > log(COST_OF_REJECTION * (1 - P_SPOOF) / (COST_OF_ACCEPTANCE * P_SPOOF))
    return _cost(weighted_mean(~called, fake, weights), weighted_mean(called, ~fake, weights))


def cllr(logits: Float[np.ndarray, " clip"], fake: Bool[np.ndarray, " clip"]) -> float | None:
    """Return the cost of the log likelihood ratio in bits: 0 is perfect, 1 carries no information.

    ``(mean over genuines of log2(1 + exp(logit)) + mean over fakes of log2(1 + exp(-logit))) / 2``
    (Bruemmer and du Preez 2006). None unless there are both fakes and genuines.
    """
    return number(cllr_draws(logits, fake, np.ones((1, fake.size))))


def cllr_draws(
    logits: Float[np.ndarray, " clip"],
    fake: Bool[np.ndarray, " clip"],
    weights: Float[np.ndarray, "draw clip"],
) -> Float[np.ndarray, " draw"]:
    """Return :func:`cllr` in each draw, NaN where it is undefined."""
    bits = np.logaddexp(0.0, np.where(fake, -logits, logits)) / log(2)
    of_fakes, of_genuines = (weighted_mean(bits, kind, weights) for kind in (fake, ~fake))
    mean: Float[np.ndarray, " draw"] = (of_fakes + of_genuines) / 2
    return mean


def _cost(
    missed: Float[np.ndarray, "*shape"], alarmed: Float[np.ndarray, "*shape"]
) -> Float[np.ndarray, "*shape"]:
    rejection = COST_OF_REJECTION * (1 - P_SPOOF)
    acceptance = COST_OF_ACCEPTANCE * P_SPOOF
    cost: Float[np.ndarray, "*shape"] = rejection * alarmed + acceptance * missed
    return cost / min(rejection, acceptance)
