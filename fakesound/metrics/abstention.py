"""Figures of a system's own probabilities: calibration, and abstention."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from fakesound.errors import InputError
from fakesound.metrics.block import Block, ClipColumns, clip_draws
from fakesound.metrics.calibration import equal_weights
from fakesound.metrics.counts import number, weighted_mean
from fakesound.metrics.scores import ClipScore


def calibration_figures(scores: Sequence[ClipScore]) -> dict[str, float | None]:
    """Return the figures of calibration: ``cllr, min_dcf, act_dcf, ece`` and ``brier``.

    The first four are those of the metrics block. ``brier`` is the mean of ``(score - fake)^2``
    (Brier 1950), with equal weights of fakes and genuine clips, the prior at which a calibrated
    score is P(fake). All are None unless there are both.
    """
    clips = ClipColumns.of(scores)
    if not (clips.fake.any() and not clips.fake.all()):
        return dict.fromkeys(("cllr", "min_dcf", "act_dcf", "ece", "brier"))
    block = clip_draws(clips, np.ones((1, clips.fake.size)))
    found = {key: number(block[f"clip/{key}"]) for key in ("cllr", "min_dcf", "act_dcf", "ece")}
    return found | {"brier": float(equal_weights(clips.fake) @ (clips.score - clips.fake) ** 2)}


def certainty(
    score: Float[np.ndarray, " clip"], fake: Bool[np.ndarray, " clip"]
) -> Float[np.ndarray, " clip"]:
    """Return the probability of the verdict on each clip, which calls it fake or not."""
    return np.where(fake, score, 1 - score)


def abstention_block(scores: Sequence[ClipScore], confidence: float) -> Block:
    """Return how many clips are answered at ``confidence``, and how well.

    Verdicts are those of `fakesound.scoring.decision.decide`: fake for a score above the clip's
    threshold, and answered when the verdict's own probability is at least ``confidence``.

    Returns:
        ``confidence`` as given; ``answered, answered_fake, answered_genuine``, the shares of
        clips, of fakes and of genuines that are answered; ``accuracy`` and ``balanced_accuracy``
        of the answers; and ``accuracy_of_all``, were every clip answered. Undefined ones are None.

    Raises:
        InputError: if ``confidence`` is not in [0.5, 1].
    """
    if not 0.5 <= confidence <= 1:
        raise InputError(f"confidence: {confidence} is not in [0.5, 1]")
    clips = ClipColumns.of(scores)
    fake, right = clips.fake, _right(clips)
    answered = certainty(clips.score, clips.called) >= confidence
    everything = np.ones_like(fake)
    caught, passed = (_share(right, kind & answered) for kind in (fake, ~fake))
    return {
        "confidence": confidence,
        "answered": _share(answered, everything),
        "answered_fake": _share(answered, fake),
        "answered_genuine": _share(answered, ~fake),
        "accuracy": _share(right, answered),
        "balanced_accuracy": None if caught is None or passed is None else (caught + passed) / 2,
        "accuracy_of_all": _share(right, everything),
    }


def risk_coverage(
    scores: Sequence[ClipScore],
) -> tuple[Float[np.ndarray, " clip"], Float[np.ndarray, " clip"]]:
    """Return the points ``(coverage, risk)`` of the curve: the 1, 2, ... surest clips answered.

    Coverage is the share of clips that is answered, risk the share of wrong answers among them
    (El-Yaniv and Wiener 2010). Clips are ranked by the probability of their verdict; of equally
    sure ones, any order is as likely, and the risk is the mean over orders.
    """
    clips = ClipColumns.of(scores)
    # rounded, so that scores of .2 and .8 are equally sure
    unsure = -np.round(np.where(clips.called, clips.logit, -clips.logit), 12)
    _, place, count = np.unique(unsure, return_inverse=True, return_counts=True)
    wrong = np.bincount(place, (~_right(clips)).astype(np.float64), minlength=count.size)
    answered = np.arange(1, len(scores) + 1)
    return answered / max(1, len(scores)), np.cumsum(np.repeat(wrong / count, count)) / answered


def _right(clips: ClipColumns) -> Bool[np.ndarray, " clip"]:
    return clips.called == clips.fake


def _share(values: Bool[np.ndarray, " clip"], chosen: Bool[np.ndarray, " clip"]) -> float | None:
    return number(weighted_mean(values, chosen, np.ones((1, values.size))))
