"""Calibration: a monotone map, fitted in validation, from the logits of clips to calibrated ones.

A calibrated logit is the log likelihood ratio of fake to genuine, which is how the costs of
ASVspoof 5 read it, and its score is P(fake) where both are equally frequent. For another prior,
add its log odds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit

from fakesound.errors import InputError, field_error
from fakesound.metrics.block import ClipColumns
from fakesound.metrics.calibration import equal_weights
from fakesound.metrics.scores import ClipScore

METHODS = ("none", "logistic", "isotonic")
AGAIN = "calibrate again"
_KEYS = {"method", "slope", "intercept", "knots"}
ALIKE = 1e-6  # spread of logits below which they are one


@dataclass(frozen=True)
class Calibrator:
    """A map of clip logits to calibrated logits that never falls; the identity by default.

    Attributes:
        method: "none", "logistic" (``slope * logit + intercept``) or "isotonic".
        slope: factor of logits, zero or more; 1 unless logistic.
        intercept: logit added; 0 unless logistic.
        knots: points ``(logit, calibrated logit)`` of an isotonic map, which is linear between them
            and constant beyond; empty otherwise.

    Raises:
        InputError: for values that make no such map; the message starts with the field's name.
    """

    method: str = "none"
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"method: {self.method!r} is not one of {', '.join(METHODS)}")
        affine = (self.slope, self.intercept)
        if not (all(map(isfinite, affine)) and self.slope >= 0):
            raise InputError(f"slope, intercept: {affine} are not finite, or fall; {AGAIN}")
        if self.method != "logistic" and affine != (1, 0):
            raise InputError(f"slope, intercept: {affine} are only for 'logistic'; give 1 and 0")
        if (self.method == "isotonic") != bool(self.knots):
            raise InputError(
                f"knots: {len(self.knots)} of them for {self.method!r}; 'isotonic' alone has some"
            )
        for x, y in self.knots:
            if not (isfinite(x) and isfinite(y)):
                raise InputError(f"knots: ({x}, {y}) is not finite; {AGAIN}")
        for (x, y), (right, above) in zip(self.knots, self.knots[1:], strict=False):
            if not (x < right and y <= above):
                raise InputError(
                    f"knots: ({right}, {above}) does not follow ({x}, {y}) in rising order; {AGAIN}"
                )

    def calibrated(self, logits: Float[np.ndarray, " clip"]) -> Float[np.ndarray, " clip"]:
        """Return the calibrated logits of ``logits``."""
        if self.knots:
            x, y = np.array(self.knots).T
            return np.interp(logits, x, y)
        return self.slope * logits + self.intercept

    def score(self, logit: float) -> float:
        """Return the calibrated score of a clip."""
        return float(expit(self.calibrated(np.array([logit]))[0]))

    def applied(self, scores: Sequence[ClipScore]) -> list[ClipScore]:
        """Return ``scores`` with calibrated logits and the scores that belong to them.

        Frame scores and thresholds do not change. Thresholds from before calibration are invalid
        after it: the caller selects new ones.
        """
        if self.method == "none":
            return list(scores)
        logits = self.calibrated(np.array([clip.logit for clip in scores], dtype=np.float64))
        return [
            replace(clip, logit=float(logit), score=float(expit(logit)))
            for clip, logit in zip(scores, logits, strict=True)
        ]

    def to_plain(self) -> dict[str, Any]:
        """Return the attributes as plain values for JSON."""
        return {
            "method": self.method,
            "slope": self.slope,
            "intercept": self.intercept,
            "knots": [list(knot) for knot in self.knots],
        }

    @classmethod
    def from_plain(cls, plain: object) -> "Calibrator":
        """Return the calibrator that `to_plain` wrote.

        Raises:
            InputError: naming the key that is missing or wrong.
        """
        if not isinstance(plain, Mapping) or not plain.keys() >= _KEYS:
            raise InputError(f"calibrator: {plain!r} is not an object of {sorted(_KEYS)}; {AGAIN}")
        try:
            return msgspec.convert(plain, cls)
        except msgspec.ValidationError as error:
            what = error.__cause__ or field_error(error, plain, {})
            raise InputError(f"{what}; {AGAIN}") from None


IDENTITY = Calibrator()


def fit_calibrator(scores: Sequence[ClipScore], method: str) -> Calibrator:
    """Return a calibrator fitted on validation clips, with equal weight for fakes and genuines.

    "logistic" minimises Cllr over affine maps that do not fall (Bruemmer and du Preez 2006), with
    the targets ``(n + 1) / (n + 2)`` and ``1 / (n + 2)`` of Platt (1999) in place of 1 and 0, so
    that it stays finite where the clips are separated without error.

    "isotonic" pools adjacent violators (Zadrozny and Elkan 2002). Half a clip of either label is
    added at both ends, so that it stays finite too. The pools are joined by lines from centre to
    centre (Oron and Flournoy 2017) and not by steps: clips between the first centre and the last
    keep their order.

    Without fakes or without genuines nothing can be fitted, and the identity is returned.

    Raises:
        InputError: if there is no such method.
    """
    if method not in METHODS:
        raise InputError(f"calibration={method}: no such method; give {', '.join(METHODS)}")
    clips = ClipColumns.of(scores)
    if method == "none" or not (clips.fake.any() and not clips.fake.all()):
        return IDENTITY
    fit = _logistic if method == "logistic" else _isotonic
    return fit(clips.logit, clips.fake)


def _logistic(logits: Float[np.ndarray, " clip"], fake: Bool[np.ndarray, " clip"]) -> Calibrator:
    # slow to import, and a detection only applies a calibrator
    from scipy.optimize import minimize

    fakes, genuines = int(fake.sum()), int((~fake).sum())
    target = np.where(fake, (fakes + 1) / (fakes + 2), 1 / (genuines + 2))
    weights = equal_weights(fake)
    # in units of the logits' own spread the minimum is found in few steps
    centre, spread = float(logits.mean()), float(logits.std())
    spread = spread if spread > ALIKE else 1.0
    x = (logits - centre) / spread

    def loss(affine: Float[np.ndarray, "2"]) -> tuple[float, Float[np.ndarray, "2"]]:
        made = affine[0] * x + affine[1]
        excess = weights * (expit(made) - target)
        value = weights @ (np.logaddexp(0, made) - target * made)
        return float(value), np.array([excess @ x, excess.sum()])

    found = minimize(
        loss,
        x0=np.array([1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    slope = float(found.x[0]) / spread
    return Calibrator("logistic", slope, float(found.x[1]) - slope * centre)


def _isotonic(logits: Float[np.ndarray, " clip"], fake: Bool[np.ndarray, " clip"]) -> Calibrator:
    from scipy.optimize import isotonic_regression

    low, high = logits.min(), logits.max()
    logits = np.concatenate((logits, [low, low, high, high]))
    fake = np.concatenate((fake, [True, False, True, False]))
    clips = np.append(np.ones(fake.size - 4), np.full(4, 0.5))
    weights = equal_weights(fake, clips)
    # clips of one logit are one point, whatever their labels
    at, place = np.unique(logits, return_inverse=True)
    weight = np.bincount(place, weights)
    share = np.bincount(place, weights * fake) / weight
    pools = isotonic_regression(share, weights=weight)
    starts = pools.blocks[:-1]
    centres = np.add.reduceat(weight * at, starts) / np.add.reduceat(weight, starts)
    odds = np.log(pools.x[starts] / (1 - pools.x[starts]))
    knots = zip(centres.tolist(), odds.tolist(), strict=True)
    return Calibrator("isotonic", knots=tuple(knots))
