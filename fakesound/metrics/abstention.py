"""Metrics of the probabilities of a system: calibration and abstention."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from fakesound.errors import InputError
from fakesound.metrics.block import Block, ClipColumns, clip_draws
from fakesound.metrics.calibration import equal_weights
from fakesound.metrics.counts import number, weighted_mean
from fakesound.metrics.scores import ClipScore


def calibration_metrics(scores: Sequence[ClipScore]) -> dict[str, float | None]:
    """Return the calibration metrics ``cllr, min_dcf, act_dcf, ece`` and ``brier``.

    The first four are those of the metrics block. ``brier`` is the mean of ``(score - fake)^2``
    (Brier 1950), with equal total weight for fake and genuine clips, the prior of calibrated
    scores. All are None unless there are clips of both classes.
    """
    clips = ClipColumns.of(scores)
    if not (clips.fake.any() and not clips.fake.all()):
        return dict.fromkeys(("cllr", "min_dcf", "act_dcf", "ece", "brier"))
    block = clip_draws(clips, np.ones((1, clips.fake.size)))
    metrics = {key: number(block[f"clip/{key}"]) for key in ("cllr", "min_dcf", "act_dcf", "ece")}
    return metrics | {"brier": float(equal_weights(clips.fake) @ (clips.score - clips.fake) ** 2)}


def certainty(
    score: Float[np.ndarray, " clip"], fake: Bool[np.ndarray, " clip"]
) -> Float[np.ndarray, " clip"]:
    """Return the probability of the verdict ``fake`` on each clip."""
    return np.where(fake, score, 1 - score)


def abstention_block(scores: Sequence[ClipScore], confidence: float) -> Block:
    """Return the share of clips that are answered at ``confidence``, and the accuracy on them.

    Verdicts are those of `fakesound.scoring.decision.decide`: fake if the score is above the clip's
    threshold, and answered if the probability of the verdict is at least ``confidence``.

    Returns:
        ``confidence``; ``answered, answered_fake, answered_genuine``, the shares of all,
        of fake and of genuine clips that are answered; ``accuracy`` and ``balanced_accuracy`` on
        the answered clips; ``accuracy_of_all``, on all clips. Undefined values are None.

    Raises:
        InputError: if ``confidence`` is not in [0.5, 1].
    """
    if not 0.5 <= confidence <= 1:
        raise InputError(f"confidence: {confidence} is not in [0.5, 1]")
    clips = ClipColumns.of(scores)
    fake, correct = clips.fake, clips.called == clips.fake
    answered = certainty(clips.score, clips.called) >= confidence
    everything = np.ones_like(fake)
    recall, specificity = (_share(correct, kind & answered) for kind in (fake, ~fake))
    balanced = None if recall is None or specificity is None else (recall + specificity) / 2
    return {
        "confidence": confidence,
        "answered": _share(answered, everything),
        "answered_fake": _share(answered, fake),
        "answered_genuine": _share(answered, ~fake),
        "accuracy": _share(correct, answered),
        "balanced_accuracy": balanced,
        "accuracy_of_all": _share(correct, everything),
    }


def risk_coverage(
    scores: Sequence[ClipScore],
) -> tuple[Float[np.ndarray, " clip"], Float[np.ndarray, " clip"]]:
    """Return coverage and risk if the 1, 2, ... clips with the surest verdicts are answered.

    Coverage is the share of answered clips, risk the share of wrong answers among them (El-Yaniv
    and Wiener 2010). Clips are ranked by the probability of their verdict; the risk is the mean
    over all orders of tied clips.
    """
    clips = ClipColumns.of(scores)
    # rounded, so that scores of 0.2 and 0.8 are tied
    uncertainty = -np.round(np.where(clips.called, clips.logit, -clips.logit), 12)
    _, rank, count = np.unique(uncertainty, return_inverse=True, return_counts=True)
    wrong = np.bincount(rank, (clips.called != clips.fake).astype(float), minlength=count.size)
    answered = np.arange(1, len(scores) + 1)
    return answered / max(1, len(scores)), np.cumsum(np.repeat(wrong / count, count)) / answered


def _share(values: Bool[np.ndarray, " clip"], chosen: Bool[np.ndarray, " clip"]) -> float | None:
    return number(weighted_mean(values, chosen, np.ones((1, values.size))))
