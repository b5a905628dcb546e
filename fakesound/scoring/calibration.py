"""Calibrate clip logits with a monotone map that is fitted on validation clips.

A calibrated logit is the log likelihood ratio of fake to genuine, as the costs of ASVspoof 5
expect. Its sigmoid is P(fake) if half of the clips are fake; for another prior, add its log odds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import msgspec
import numpy as np
from jaxtyping import Bool, Float
from scipy.special import expit

from fakesound.config.training import CALIBRATIONS
from fakesound.errors import InputError, field_error
from fakesound.metrics.block import ClipColumns
from fakesound.metrics.calibration import equal_weights
from fakesound.metrics.scores import ClipScore

AGAIN = "calibrate again"
_KEYS = {"method", "slope", "intercept", "knots"}
MIN_SPREAD = 1e-6  # standard deviation below which all logits count as equal


@dataclass(frozen=True)
class Calibrator:
    """Non-decreasing map from clip logits to calibrated logits; the identity by default.

    Attributes:
        method: "none", "logistic" (``slope * logit + intercept``) or "isotonic".
        slope: non-negative factor of a logistic map; else 1.
        intercept: summand of a logistic map; else 0.
        knots: points ``(logit, calibrated logit)`` of an isotonic map, which is linear between them
            and constant outside; else empty.

    Raises:
        InputError: if the values define no such map; the message starts with the field's name.
    """

    method: str = "none"
    slope: float = 1.0
    intercept: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.method not in CALIBRATIONS:
            raise InputError(f"method: {self.method!r} is not one of {', '.join(CALIBRATIONS)}")
        affine = (self.slope, self.intercept)
        if not (all(map(isfinite, affine)) and self.slope >= 0):
            raise InputError(
                f"slope, intercept: {affine} must be finite, the slope 0 or more; {AGAIN}"
            )
        if self.method != "logistic" and affine != (1, 0):
            raise InputError(f"slope, intercept: {affine} need method 'logistic'; give 1 and 0")
        if (self.method == "isotonic") != bool(self.knots):
            raise InputError(
                f"knots: {len(self.knots)} for {self.method!r}; 'isotonic' needs them, others none"
            )
        for x, y in self.knots:
            if not (isfinite(x) and isfinite(y)):
                raise InputError(f"knots: ({x}, {y}) is not finite; {AGAIN}")
        for (x, y), (right, above) in zip(self.knots, self.knots[1:], strict=False):
            if not (x < right and y <= above):
                raise InputError(
                    f"knots: ({x}, {y}) and ({right}, {above}) are not in rising order; {AGAIN}"
                )

    @property
    def constant(self) -> bool:
        """Whether all clips get the same logit, because no map that rises fits better."""
        if self.knots:
            return self.knots[0][1] == self.knots[-1][1]
        return self.slope == 0

    def calibrate(self, logits: Float[np.ndarray, " clip"]) -> Float[np.ndarray, " clip"]:
        """Return the calibrated logits of ``logits``."""
        if self.knots:
            x, y = np.array(self.knots).T
            return np.interp(logits, x, y)
        return self.slope * logits + self.intercept

    def score(self, logit: float) -> float:
        """Return the calibrated score of a clip."""
        return float(expit(self.calibrate(np.array([logit]))[0]))

    def apply(self, scores: Sequence[ClipScore]) -> list[ClipScore]:
        """Return ``scores`` with calibrated logits and clip scores.

        Frame scores and thresholds are unchanged. Thresholds chosen before calibration are invalid
        after it: the caller must select new ones.
        """
        if self.method == "none":
            return list(scores)
        logits = self.calibrate(np.array([clip.logit for clip in scores], dtype=np.float64))
        return [
            replace(clip, logit=float(logit), score=float(expit(logit)))
            for clip, logit in zip(scores, logits, strict=True)
        ]

    def to_plain(self) -> dict[str, Any]:
        """Return the attributes as plain values for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain | {"knots": [list(knot) for knot in self.knots]}

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
    """Fit a calibrator on validation clips, with equal total weight for fake and genuine clips.

    "logistic" minimises Cllr over non-decreasing affine maps (Bruemmer and du Preez 2006). Platt's
    (1999) targets ``(n + 1) / (n + 2)`` and ``1 / (n + 2)`` replace 1 and 0, which keeps the map
    finite if the clips are separable.

    "isotonic" pools adjacent violators (Zadrozny and Elkan 2002). Half a clip of each label is
    added at both ends, which keeps the map finite. The centres of the pools are joined by lines,
    not steps (Oron and Flournoy 2017), so that clips between the outer centres keep their order.

    Returns the identity if there are no fake or no genuine clips.

    Raises:
        InputError: for an unknown method.
    """
    if method not in CALIBRATIONS:
        raise InputError(f"calibration={method}: no such method; give {', '.join(CALIBRATIONS)}")
    clips = ClipColumns.of(scores)
    if method == "none" or not (clips.fake.any() and not clips.fake.all()):
        return IDENTITY
    fit = _logistic if method == "logistic" else _isotonic
    return fit(clips.logit, clips.fake)


def _logistic(logits: Float[np.ndarray, " clip"], fake: Bool[np.ndarray, " clip"]) -> Calibrator:
    # imported here: slow, and detection does not fit calibrators
    from scipy.optimize import minimize

    fakes, genuines = int(fake.sum()), int((~fake).sum())
    target = np.where(fake, (fakes + 1) / (fakes + 2), 1 / (genuines + 2))
    weights = equal_weights(fake)
    # standardised logits make the minimisation converge in few steps
    centre, spread = float(logits.mean()), float(logits.std())
    spread = spread if spread > MIN_SPREAD else 1.0
    x = (logits - centre) / spread

    def loss(affine: Float[np.ndarray, "2"]) -> tuple[float, Float[np.ndarray, "2"]]:
        calibrated = affine[0] * x + affine[1]
        excess = weights * (expit(calibrated) - target)
        value = weights @ (np.logaddexp(0, calibrated) - target * calibrated)
        return float(value), np.array([excess @ x, excess.sum()])

    minimum = minimize(
        loss,
        x0=np.array([1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-10},
    )
    slope = float(minimum.x[0]) / spread
    return Calibrator("logistic", slope, float(minimum.x[1]) - slope * centre)


def _isotonic(logits: Float[np.ndarray, " clip"], fake: Bool[np.ndarray, " clip"]) -> Calibrator:
    from scipy.optimize import isotonic_regression

    low, high = logits.min(), logits.max()
    logits = np.concatenate((logits, [low, low, high, high]))
    fake = np.concatenate((fake, [True, False, True, False]))
    clips = np.append(np.ones(fake.size - 4), np.full(4, 0.5))
    weights = equal_weights(fake, clips)
    # clips with equal logits are one point, whatever their labels
    distinct, index = np.unique(logits, return_inverse=True)
    weight = np.bincount(index, weights)
    share = np.bincount(index, weights * fake) / weight
    pools = isotonic_regression(share, weights=weight)
    starts = pools.blocks[:-1]
    centres = np.add.reduceat(weight * distinct, starts) / np.add.reduceat(weight, starts)
    odds = np.log(pools.x[starts] / (1 - pools.x[starts]))
    knots = zip(centres.tolist(), odds.tolist(), strict=True)
    return Calibrator("isotonic", knots=tuple(knots))
