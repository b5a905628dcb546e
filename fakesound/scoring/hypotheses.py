"""Two hypotheses of a clip, that a part of it is fake and that all of it is, and their maps.

Each is calibrated against genuine clips on fakes of its own kind. Their logits then are log
likelihood ratios, and so is that of "fake" as such, half of the fakes being of either kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np
from scipy.special import expit

from fakesound.metrics.scores import ClipScore, logit
from fakesound.scoring.calibration import IDENTITY, Calibrator, fit_calibrator


def either(part: float, whole: float) -> float:
    """Return the log likelihood ratio of fakes, half of either kind, to genuine clips."""
    return float(np.logaddexp(part, whole)) - log(2)


@dataclass(frozen=True)
class Hypotheses:
    """Calibrators of the two hypotheses; identities by default.

    Attributes:
        part, whole: of the logits that a part of a clip is fake, and that all of it is.
    """

    part: Calibrator = IDENTITY
    whole: Calibrator = IDENTITY

    def applied(self, scores: Sequence[ClipScore]) -> list[ClipScore]:
        """Return ``scores`` with both hypotheses calibrated, and the clip's from them."""
        return [self._one(clip) for clip in scores]

    def _one(self, clip: ClipScore) -> ClipScore:
        if clip.part_score is None or clip.whole_score is None:
            return clip
        part = float(self.part.calibrated(np.array([logit(clip.part_score)]))[0])
        whole = float(self.whole.calibrated(np.array([logit(clip.whole_score)]))[0])
        found = either(part, whole)
        return replace(
            clip,
            logit=found,
            score=float(expit(found)),
            part_score=float(expit(part)),
            whole_score=float(expit(whole)),
        )

    @property
    def maps(self) -> list[list[float]]:
        """Slope and intercept of both."""
        return [[each.slope, each.intercept] for each in (self.part, self.whole)]


def fit_hypotheses(scores: Sequence[ClipScore]) -> Hypotheses:
    """Return the maps that suit the validation clips, by logistic regression.

    A hypothesis without fakes of its kind keeps the identity; so do both for a detector of one
    hypothesis.
    """
    if not all(clip.part_score is not None and clip.whole_score is not None for clip in scores):
        return Hypotheses()
    found = {}
    for kind in ("part", "whole"):
        own = [_as_clip(clip, kind) for clip in scores if clip.kind in (None, kind)]
        found[kind] = fit_calibrator(own, "logistic")
    return Hypotheses(**found)


def _as_clip(clip: ClipScore, kind: str) -> ClipScore:
    """Return ``clip`` scored by one hypothesis alone."""
    score = clip.part_score if kind == "part" else clip.whole_score
    assert score is not None
    return replace(clip, score=score, logit=logit(score))
