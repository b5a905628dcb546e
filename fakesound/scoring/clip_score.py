"""From what a model says of windows to the scores of clips."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float32
from scipy.special import expit

from fakesound.data.manifest import Clip
from fakesound.metrics import ClipScore
from fakesound.metrics.attribution import energy_threshold, family_scores
from fakesound.metrics.boundaries import boundary_threshold
from fakesound.metrics.scores import FamilyScores
from fakesound.scoring.hypotheses import either
from fakesound.timeline import FrameGrid

# the test protocol's share of fakes among clips, for which thresholds are chosen
FAKE_SHARE = 0.5

FrameValues = Float[np.ndarray, " frame"]
# each of a length of its own
AnyFrames = Float[np.ndarray, " _"]
# of frames, and of more beside: one value each for every family of attacks
AnyValues = Float[np.ndarray, "_ ..."]


def stitch(
    values: Sequence[AnyValues], starts: Sequence[int], frames: int
) -> Float[np.ndarray, "frame ..."]:
    """Return what is said of each of ``frames`` from overlapping windows.

    Windows that begin at ``starts`` are averaged with triangular weights, so that a window counts
    most in its middle, where it hears as much before as after.
    """
    total, weight = np.zeros((frames, *values[0].shape[1:])), np.zeros(frames)
    for window, first in zip(values, starts, strict=True):
        count = len(window)
        ramp = np.minimum(np.arange(count) + 1, np.arange(count)[::-1] + 1).astype(np.float64)
        # frames come first
        total[first : first + count] += (ramp * window.T).T
        weight[first : first + count] += ramp
    stitched: Float[np.ndarray, "frame ..."] = (total.T / weight).T
    return stitched


class ClipLogits(NamedTuple):
    """Logits of a clip.

    Attributes:
        clip: that it is fake.
        part: that a part of it is; None for a detector of one hypothesis.
        whole: that all of it is; None likewise.
    """

    clip: float
    part: float | None = None
    whole: float | None = None


def clip_logits(outputs: Mapping[str, AnyValues], pooling: str) -> ClipLogits:
    """Return the logits of a clip from what is known of all its frames.

    A model without a clip head scores a clip by its highest frame, smoothed over 100 ms.

    Args:
        outputs: values of the frames, by their name in `fakesound.models.detector.DetectorOutput`.
        pooling: of the detector.
    """
    if "evidence" not in outputs:
        frames = outputs["frame_logits"]
        width = min(5, len(frames))
        highest = float(np.convolve(frames, np.ones(width) / width, "valid").max())
        return ClipLogits(_bounded(highest))
    part = _bounded(pool_frames(outputs["evidence"], outputs.get("attention"), pooling))
    if "whole_evidence" not in outputs:
        return ClipLogits(part)
    whole = _bounded(float(outputs["whole_evidence"].mean()))
    return ClipLogits(either(part, whole), part, whole)


def _bounded(logit: float) -> float:
    return float(np.clip(logit, -30, 30))


def pool_frames(
    evidence: FrameValues, attention: FrameValues | None, pooling: str = "attention"
) -> float:
    """Return the clip logit of all frames; see `fakesound.models.heads.pool`."""
    if pooling in ("attention", "two_way"):
        assert attention is not None
        weight = np.exp(attention - attention.max())
        return float((weight * evidence).sum() / weight.sum())
    if pooling == "max":
        return float(evidence.max())
    fake, genuine = -np.logaddexp(0, -evidence), -np.logaddexp(0, evidence)
    own = fake if pooling == "linear_softmax" else np.zeros_like(fake)
    return float(np.logaddexp.reduce(own + fake) - np.logaddexp.reduce(own + genuine))


def pool_families(
    logits: Float[np.ndarray, "frame family"], attention: FrameValues
) -> Float[np.ndarray, " family"]:
    """Return the logits of the families of attacks, averaged with softmax attention."""
    weight = np.exp(attention - attention.max())
    pooled: Float[np.ndarray, " family"] = weight @ logits / weight.sum()
    return pooled


def score_outputs(
    outputs: Mapping[str, Sequence[AnyValues]],
    clips: Sequence[Clip],
    grid: FrameGrid,
    fold: Callable[[Clip], str | None],
    pooling: str = "attention",
    families: Sequence[str] = (),
) -> list[ClipScore]:
    """Return the scores of ``clips``.

    Args:
        outputs: values of the frames of each clip, by their name in
            `fakesound.models.detector.DetectorOutput`.
        clips: in the order of these.
        grid: of the frames.
        fold: "seen", "unseen" or None for each clip.
        pooling: of the detector.
        families: of attacks that it tells apart.
    """
    named = None
    each = [
        {name: values[index] for name, values in outputs.items()} for index in range(len(clips))
    ]
    logits = [clip_logits(one, pooling) for one in each]
    if "family_logits" in outputs:
        named = [
            family_scores(pool_families(one["family_logits"], one["family_attention"]), families)
            for one in each
        ]
    return clip_scores(
        clips,
        grid,
        fold,
        outputs.get("frame_logits"),
        logits,
        outputs.get("boundary_logits"),
        named,
    )


@dataclass(frozen=True)
class FurtherHeads:
    """What the scores of the boundary and the attribution head are read with.

    Attributes:
        families: of attacks that the attribution head tells apart; none without it.
        thresholds: see `head_thresholds`.
    """

    families: tuple[str, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Return it as plain values; empty without such heads."""
        if not (self.families or self.thresholds):
            return {}
        return {"families": list(self.families), "thresholds": dict(self.thresholds)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> "FurtherHeads":
        """Return what `to_plain` gave.

        Raises:
            TypeError, ValueError, AttributeError: for anything else.
        """
        thresholds = {name: float(at) for name, at in plain.get("thresholds", {}).items()}
        return cls(tuple(plain.get("families", ())), thresholds)


def head_thresholds(validation: Sequence[ClipScore]) -> dict[str, float]:
    """Return the thresholds of the further heads, those that validation clips can teach.

    "boundary": see `fakesound.metrics.boundaries.boundary_threshold`. "energy": see
    `fakesound.metrics.attribution.energy_threshold`.
    """
    found = {
        "boundary": boundary_threshold(validation),
        "energy": energy_threshold(validation),
    }
    return {name: at for name, at in found.items() if at is not None}


def with_head_thresholds(
    scores: Sequence[ClipScore], thresholds: Mapping[str, float]
) -> list[ClipScore]:
    """Return ``scores`` with edges and unknown families told by ``thresholds``."""
    applied = []
    for clip in scores:
        if "boundary" in thresholds and clip.boundary_scores.size:
            clip = replace(clip, boundary_threshold=thresholds["boundary"])
        if "energy" in thresholds and clip.family is not None:
            unknown = clip.family.energy > thresholds["energy"]
            clip = replace(clip, family=replace(clip.family, unknown=unknown))
        applied.append(clip)
    return applied


def clip_scores(
    clips: Sequence[Clip],
    grid: FrameGrid,
    fold: Callable[[Clip], str | None],
    frame_logits: Sequence[AnyFrames] | None,
    logits: Sequence[ClipLogits],
    boundary_logits: Sequence[AnyFrames] | None = None,
    families: Sequence[FamilyScores] | None = None,
) -> list[ClipScore]:
    """Return the scores of ``clips`` from the logits of their frames and of themselves."""
    scores = []
    for index, clip in enumerate(clips):
        frames = frame_logits[index] if frame_logits is not None else np.zeros(0)
        found = logits[index]
        scores.append(
            ClipScore.of(
                clip,
                float(expit(found.clip)),
                logit=found.clip,
                part_score=None if found.part is None else float(expit(found.part)),
                whole_score=None if found.whole is None else float(expit(found.whole)),
                frame_step=grid.step,
                frame_scores=_probabilities(frames),
                fold=fold(clip),
                boundary_scores=_probabilities(
                    np.zeros(0) if boundary_logits is None else boundary_logits[index]
                ),
                family=None if families is None else families[index],
            )
        )
    return scores


def _probabilities(logits: AnyFrames) -> Float32[np.ndarray, " _"]:
    return (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(np.float32)
