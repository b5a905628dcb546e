"""Scores of a clip together with its labels from the manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, log
from typing import Any

import numpy as np
from jaxtyping import Float32
from scipy.special import expit

from fakesound.clip import Clip
from fakesound.errors import InputError
from fakesound.timeline import FrameGrid, Region, microseconds

REGION_TOLERANCE = 0.001  # seconds; containers round the length of a clip to whole samples
WHOLE_TOLERANCE = 0.05  # genuine seconds that a wholly fake clip may contain
LOGIT_TOLERANCE = 0.001  # difference in score; allows half precision and six decimals
UNKNOWN = "unknown"  # family of a fake unlike all families in training
SCORE_RESOLUTION = 1e-7  # resolution of float32 probabilities near 1
# fields of a manifest row that a score copies
TRUTH = (
    "clip_id", "label", "attack", "corpus", "source_id", "regions", "duration", "subsets",
)  # fmt: skip
# fields in [0, 1]
SHARES = (
    "score", "clip_threshold", "frame_threshold", "boundary_threshold", "part_score", "whole_score",
)  # fmt: skip


def logit(score: float) -> float:
    """Return ``log(score / (1 - score))``, finite for each score in [0, 1].

    The score is first clipped to ``[1e-7, 1 - 1e-7]``, the resolution of float32.
    """
    clipped = min(max(score, SCORE_RESOLUTION), 1 - SCORE_RESOLUTION)
    return log(clipped / (1 - clipped))


def _no_frames() -> np.ndarray:
    return np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class FamilyScores:
    """Scores of the attack families of a clip, if the clip is fake.

    Attributes:
        scores: probability of each family in training.
        energy: energy score, high for a clip unlike all families (see
            `fakesound.metrics.attribution`).
        unknown: whether the energy is above its threshold.

    Raises:
        InputError: for scores outside [0, 1], or an energy that is not finite.
    """

    scores: Mapping[str, float]
    energy: float
    unknown: bool = False

    def __post_init__(self) -> None:
        if not self.scores or not all(0 <= value <= 1 for value in self.scores.values()):
            raise InputError(f"family_scores: {dict(self.scores)} are not scores in [0, 1]")
        if not isfinite(self.energy):
            raise InputError(f"family_energy: {self.energy} is not a finite number")

    @property
    def likeliest(self) -> str:
        """Family with the highest probability."""
        return max(self.scores, key=self.scores.__getitem__)

    @property
    def name(self) -> str:
        """Likeliest family, or "unknown"."""
        return UNKNOWN if self.unknown else self.likeliest


@dataclass(frozen=True, eq=False, kw_only=True)
class ClipScore:
    """Scores of a clip and its labels.

    Attributes:
        clip_id: unique identifier.
        score: P(fake) of the clip, in [0, 1].
        logit: log odds of the unrounded score, which rank clips and enter the costs.
        frame_step: length of a frame in seconds.
        frame_scores: P(fake) of each frame; empty for a system that only scores clips.
        label: "genuine" or "fake".
        attack: ``family/generator`` of a fake; None for a genuine clip.
        corpus: corpus that the clip belongs to.
        domain: recordings that are alike except for the attack.
        source_id: original recording; clips of one source are not independent.
        regions: fake spans; empty for a genuine clip.
        duration: length of the clip in seconds.
        fold: "seen" if the attack was in training, else "unseen"; None for a genuine clip and for
            an attack used only for model selection.
        clip_threshold: score above which the clip is called fake.
        frame_threshold: score above which a frame is called fake.
        subsets: official test subsets that the clip belongs to; empty in most corpora.
        boundary_scores: P(edge of a fake region) of each frame; empty without a boundary head.
        boundary_threshold: boundary score above which a peak is an edge.
        family: scores of attack families; None without an attribution head.
        further: scores in [0, 1] of other heads, by task.
        part_score: P(part of the clip is fake); None for a system with a single hypothesis.
        whole_score: P(all of the clip is fake); None for a system with a single hypothesis.

    Raises:
        InputError: for a value that is out of range or contradicts another; the message starts with
            the name of the field.
    """

    clip_id: str
    score: float
    logit: float
    label: str
    attack: str | None
    corpus: str
    domain: str
    source_id: str
    regions: tuple[Region, ...]
    duration: float
    frame_step: float = 0.02
    frame_scores: Float32[np.ndarray, " frame"] = field(default_factory=_no_frames)
    fold: str | None = None
    clip_threshold: float = 0.5
    frame_threshold: float = 0.5
    subsets: tuple[str, ...] = ()
    boundary_scores: Float32[np.ndarray, " boundary"] = field(default_factory=_no_frames)
    boundary_threshold: float = 0.5
    family: FamilyScores | None = None
    further: Mapping[str, float] = field(default_factory=dict)
    part_score: float | None = None
    whole_score: float | None = None

    def __post_init__(self) -> None:
        shares = {name: getattr(self, name) for name in SHARES} | dict(self.further)
        for name, value in shares.items():
            if value is not None and not 0 <= value <= 1:
                raise InputError(
                    f"{name}: {value} is not in [0, 1]; convert logits to probabilities"
                )
        if not (isfinite(self.logit) and abs(expit(self.logit) - self.score) <= LOGIT_TOLERANCE):
            raise InputError(
                f"logit: {self.logit} contradicts score {self.score}; give "
                "log(score / (1 - score)) or leave it out"
            )
        for name in ("duration", "frame_step"):
            value = getattr(self, name)
            if not (isfinite(value) and microseconds(value) > 0):
                raise InputError(f"{name}: {value} is not a positive number of seconds")
        if self.fold not in (None, "seen", "unseen"):
            raise InputError(f"fold: {self.fold!r} is not 'seen', 'unseen' or null")
        if not all(self.subsets) or len(set(self.subsets)) < len(self.subsets):
            raise InputError(f"subsets: {list(self.subsets)} must be distinct names")
        self._check_truth()
        self._check_frames()

    @classmethod
    def of(cls, clip: Clip, score: float, **fields: Any) -> "ClipScore":  # noqa: ANN401
        """Return the score of ``clip`` with the labels of its manifest row.

        Args:
            clip: manifest row.
            score: P(fake) of the clip, in [0, 1].
            fields: other attributes; ``logit`` follows from ``score`` by default.

        Raises:
            InputError: for a value that is out of range or contradicts another.
        """
        truth: dict[str, Any] = {name: getattr(clip, name) for name in TRUTH}
        truth["domain"] = clip.domain or clip.corpus
        return cls(score=score, **truth, **({"logit": logit(score)} | fields))

    @property
    def fake(self) -> bool:
        """Whether the clip is fake."""
        return self.label == "fake"

    @property
    def kind(self) -> str | None:
        """Kind of fake, "part" or "whole"; None for a genuine clip."""
        if not self.fake:
            return None
        total = sum(region.offset - region.onset for region in self.regions)
        return "whole" if total >= self.duration - WHOLE_TOLERANCE else "part"

    def _check_truth(self) -> None:
        if self.label not in ("genuine", "fake"):
            raise InputError(f"label: {self.label!r} is not 'genuine' or 'fake'")
        if not self.fake and self.attack is not None:
            raise InputError(f"attack: a genuine clip has none, got {self.attack!r}")
        if self.fake and not self.attack:
            raise InputError("attack: missing for a fake clip; name it 'family/generator'")
        if not self.fake and self.regions:
            raise InputError(f"regions: a genuine clip has none, got {len(self.regions)}")
        if self.fake and not self.regions:
            raise InputError(
                f"regions: missing for a fake clip; [[0, {self.duration}]] if all of it is fake"
            )
        end = microseconds(self.duration)
        for region in self.regions:
            late = microseconds(region.offset) - end > microseconds(REGION_TOLERANCE)
            if late or microseconds(region.onset) >= min(microseconds(region.offset), end):
                raise InputError(
                    f"regions: [{region.onset}, {region.offset}] is not a span inside the clip's "
                    f"{self.duration} s"
                )

    def _check_frames(self) -> None:
        expected = FrameGrid.from_seconds(self.frame_step).count(self.duration)
        for name in ("frame_scores", "boundary_scores"):
            frames = getattr(self, name)
            if not ((frames >= 0) & (frames <= 1)).all():
                raise InputError(f"{name}: all values must be in [0, 1]")
            if frames.size and abs(frames.size - expected) > 1:
                raise InputError(
                    f"{name}: {frames.size} frames of {self.frame_step} s for "
                    f"{self.duration} s; expected {expected}"
                )


def has_frames(scores: Sequence[ClipScore]) -> bool:
    """Return whether the system scored frames; False for no clips.

    Raises:
        InputError: if only some of the clips have frame scores.
    """
    without = [clip.clip_id for clip in scores if not clip.frame_scores.size]
    if without and len(without) < len(scores):
        raise InputError(
            f"frame_scores: missing for clip {without[0]!r} but not for others; give them for all "
            "clips or for none"
        )
    return bool(scores) and not without
