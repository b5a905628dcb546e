"""Calibrate the two hypotheses "part of the clip is fake" and "all of it is fake".

Each is calibrated on the fakes of its own kind against genuine clips, which makes its logit a log
likelihood ratio. The ratio of "fake" follows, if half of the fakes are of each kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np
from scipy.special import expit

from fakesound.metrics.scores import ClipScore, logit
from fakesound.scoring.calibration import IDENTITY, Calibrator, fit_calibrator


def either(part: float, whole: float) -> float:
    """Return the log likelihood ratio of "fake" to "genuine", for equal shares of both kinds."""
    return float(np.logaddexp(part, whole)) - log(2)


@dataclass(frozen=True)
class Hypotheses:
    """Calibrators of the two hypotheses; identities by default.

    Attributes:
        part: calibrator of the logit of "part of the clip is fake".
        whole: calibrator of the logit of "all of the clip is fake".
    """

    part: Calibrator = IDENTITY
    whole: Calibrator = IDENTITY

    def apply(self, scores: Sequence[ClipScore]) -> list[ClipScore]:
        """Return ``scores`` with calibrated hypotheses and the clip scores that follow."""
        return [self._calibrate(clip) for clip in scores]

    def _calibrate(self, clip: ClipScore) -> ClipScore:
        if clip.part_score is None or clip.whole_score is None:
            return clip
        part = float(self.part.calibrate(np.array([logit(clip.part_score)]))[0])
        whole = float(self.whole.calibrate(np.array([logit(clip.whole_score)]))[0])
        combined = either(part, whole)
        return replace(
            clip,
            logit=combined,
            score=float(expit(combined)),
            part_score=float(expit(part)),
            whole_score=float(expit(whole)),
        )

    @property
    def maps(self) -> list[list[float]]:
        """Slope and intercept of both calibrators."""
        return [[fitted.slope, fitted.intercept] for fitted in (self.part, self.whole)]


def fit_hypotheses(scores: Sequence[ClipScore]) -> Hypotheses:
    """Fit both calibrators on validation clips by logistic regression.

    A calibrator is the identity if there are no fakes of its kind; both are if the detector has a
    single hypothesis.
    """
    if not all(clip.part_score is not None and clip.whole_score is not None for clip in scores):
        return Hypotheses()
    fitted = {}
    for kind in ("part", "whole"):
        clips = [_scored_by(kind, clip) for clip in scores if clip.kind in (None, kind)]
        fitted[kind] = fit_calibrator(clips, "logistic")
    return Hypotheses(**fitted)


def _scored_by(kind: str, clip: ClipScore) -> ClipScore:
    """Return ``clip`` with the score of one hypothesis."""
    score = clip.part_score if kind == "part" else clip.whole_score
    assert score is not None
    return replace(clip, score=score, logit=logit(score))
