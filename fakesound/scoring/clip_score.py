"""Compute the score of a clip from the outputs of its frames."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32
from scipy.special import expit

from fakesound.data.manifest import Clip
from fakesound.metrics import ClipScore
from fakesound.metrics.attribution import attribution_block, energy_threshold, family_scores
from fakesound.metrics.boundaries import boundary_block, boundary_threshold
from fakesound.metrics.scores import FamilyScores
from fakesound.scoring.hypotheses import either
from fakesound.scoring.windows import FrameValues
from fakesound.timeline import GRID

LOGIT_LIMIT = 30.0  # bound of clip and frame logits, beyond which float32 scores do not change
MEAN_SHARE = 0.5  # share of the mean frame logit that `frame_scores` subtracts
SMOOTHED = 5  # consecutive frames that are averaged for a model without a clip head

OneFrameValue = Float[np.ndarray, " frame"]


class ClipLogits(NamedTuple):
    """Logits of a clip, between -30 and 30.

    Attributes:
        clip: logit of "the clip is fake".
        part: logit of "part of the clip is fake"; None for a detector with a single hypothesis.
        whole: logit of "all of the clip is fake"; None for a detector with a single hypothesis.
    """

    clip: float
    part: float | None = None
    whole: float | None = None


def clip_logits(outputs: Mapping[str, FrameValues], pooling: str) -> ClipLogits:
    """Compute the logits of a clip from the outputs of all its frames.

    Without a clip head the logit is the maximum of the frame logits, smoothed over 100 ms.

    Args:
        outputs: frame outputs by their names in `fakesound.models.tasks`.
        pooling: pooling of the detector.
    """
    if "evidence" not in outputs:
        frames = outputs["frame_logits"]
        width = min(SMOOTHED, len(frames))
        return ClipLogits(_limited(np.convolve(frames, np.ones(width) / width, "valid").max()))
    part = _limited(pool_frames(outputs["evidence"], outputs.get("attention"), pooling))
    if "whole_evidence" not in outputs:
        return ClipLogits(part)
    whole = _limited(outputs["whole_evidence"].mean())
    return ClipLogits(either(part, whole), part, whole)


def _limited(logit: float) -> float:
    return float(np.clip(logit, -LOGIT_LIMIT, LOGIT_LIMIT))


def frame_scores(outputs: Mapping[str, FrameValues]) -> Float32[np.ndarray, " frame"]:
    """Return the scores of the frames of a clip; empty without a frame head.

    A detector with two hypotheses has a separate score for "all of it is fake". Its frame scores
    show which parts differ from the rest of the clip: if the mean frame logit is positive, half of
    it is subtracted from every frame.

    Args:
        outputs: frame outputs by their names in `fakesound.models.tasks`.
    """
    if "whole_evidence" in outputs and "frame_logits" in outputs:
        frames = outputs["frame_logits"]
        outputs = {"frame_logits": frames - MEAN_SHARE * max(float(frames.mean()), 0.0)}
    return frame_probabilities(outputs, "frame_logits")


def frame_probabilities(outputs: Mapping[str, FrameValues], name: str) -> Float32[np.ndarray, " _"]:
    """Return the probabilities of the frame logits ``name``; empty without that head."""
    logits = outputs.get(name, np.zeros(0))
    return expit(np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)).astype(np.float32)


def pool_frames(
    evidence: OneFrameValue, attention: OneFrameValue | None, pooling: str = "attention"
) -> float:
    """Pool the evidence of all frames to a clip logit; see `fakesound.models.heads.pool`."""
    if pooling in ("attention", "two_way"):
        assert attention is not None
        weight = np.exp(attention - attention.max())
        return float((weight * evidence).sum() / weight.sum())
    if pooling == "max":
        return float(evidence.max())
    if pooling == "summary":
        return float(evidence.mean())
    fake, genuine = -np.logaddexp(0, -evidence), -np.logaddexp(0, evidence)
    own = fake if pooling == "linear_softmax" else np.zeros_like(fake)
    return float(np.logaddexp.reduce(own + fake) - np.logaddexp.reduce(own + genuine))


def pool_families(
    logits: Float[np.ndarray, "frame family"], attention: OneFrameValue
) -> Float[np.ndarray, " family"]:
    """Average the logits of attack families over frames with softmax attention."""
    weight = np.exp(attention - attention.max())
    pooled: Float[np.ndarray, " family"] = weight @ logits / weight.sum()
    return pooled


def attack_families(
    outputs: Mapping[str, FrameValues], families: Sequence[str]
) -> FamilyScores | None:
    """Return the scores of attack families; None without an attribution head."""
    if "family_logits" not in outputs:
        return None
    pooled = pool_families(outputs["family_logits"], outputs["family_attention"])
    return family_scores(pooled, families)


@dataclass(frozen=True)
class FurtherHead:
    """Scores and metrics of a head other than the clip and the frame head.

    Attributes:
        fields: function of frame outputs and attack families that returns fields of `ClipScore`.
        block: function that computes metrics of clips, or None if they lack scores of the head.
        by_fold: whether metrics are also computed for seen and unseen attacks alone.
    """

    fields: Callable[[Mapping[str, FrameValues], Sequence[str]], Mapping[str, Any]]
    block: Callable[[Sequence[ClipScore]], dict[str, Any] | None]
    by_fold: bool = True


# by task; a head with one score per clip returns {"further": {task: score}}
FURTHER_HEADS = {
    "boundary": FurtherHead(
        lambda outputs, _: {"boundary_scores": frame_probabilities(outputs, "boundary_logits")},
        boundary_block,
    ),
    "attribution": FurtherHead(
        lambda outputs, families: {"family": attack_families(outputs, families)},
        attribution_block,
        by_fold=False,
    ),
}


def score_clip(
    clip: Clip,
    outputs: Mapping[str, FrameValues],
    pooling: str = "attention",
    families: Sequence[str] = (),
    fold: str | None = None,
) -> ClipScore:
    """Return the uncalibrated score of ``clip``.

    Args:
        clip: clip with its labels.
        outputs: frame outputs by their names in `fakesound.models.tasks`.
        pooling: pooling of the detector.
        families: attack families that the detector distinguishes.
        fold: "seen", "unseen" or None.
    """
    logits = clip_logits(outputs, pooling)
    further: dict[str, Any] = {}
    for head in FURTHER_HEADS.values():
        for name, value in head.fields(outputs, families).items():
            further[name] = further.get(name, {}) | value if name == "further" else value
    return ClipScore.of(
        clip,
        float(expit(logits.clip)),
        logit=logits.clip,
        part_score=None if logits.part is None else float(expit(logits.part)),
        whole_score=None if logits.whole is None else float(expit(logits.whole)),
        frame_step=GRID.step,
        frame_scores=frame_scores(outputs),
        fold=fold,
        **further,
    )


@dataclass(frozen=True)
class HeadCalibration:
    """Families and thresholds of the boundary and the attribution head.

    Attributes:
        families: attack families that the attribution head distinguishes; empty without it.
        thresholds: thresholds that `head_thresholds` fitted.
    """

    families: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Return the attributes as plain values; empty without such heads."""
        if not (self.families or self.thresholds):
            return {}
        return {"families": list(self.families), "thresholds": dict(self.thresholds)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "HeadCalibration":
        """Return the calibration that `to_plain` wrote.

        Raises:
            TypeError, ValueError, AttributeError: for other values.
        """
        thresholds = {name: float(value) for name, value in plain.get("thresholds", {}).items()}
        return cls(tuple(plain.get("families", ())), thresholds)


def head_thresholds(validation: Sequence[ClipScore]) -> dict[str, float]:
    """Fit the thresholds of boundary and attribution scores on the validation clips.

    "boundary": see `fakesound.metrics.boundaries.boundary_threshold`. "energy": see
    `fakesound.metrics.attribution.energy_threshold`. Absent if the clips have no such scores.
    """
    fitted = {"boundary": boundary_threshold(validation), "energy": energy_threshold(validation)}
    return {name: value for name, value in fitted.items() if value is not None}


def with_head_thresholds(
    scores: Sequence[ClipScore], thresholds: Mapping[str, float]
) -> list[ClipScore]:
    """Apply the thresholds of boundaries and of unknown families to ``scores``."""
    applied = []
    for clip in scores:
        if "boundary" in thresholds and clip.boundary_scores.size:
            clip = replace(clip, boundary_threshold=thresholds["boundary"])
        if "energy" in thresholds and clip.family is not None:
            unknown = clip.family.energy > thresholds["energy"]
            clip = replace(clip, family=replace(clip.family, unknown=unknown))
        applied.append(clip)
    return applied
