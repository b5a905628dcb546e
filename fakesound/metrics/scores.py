"""The scores of a clip and the truth from its manifest."""

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

REGION_TOLERANCE = 0.001  # seconds; containers round a clip's length to whole samples
WHOLE_TOLERANCE = 0.05  # seconds at its ends that a fake may leave and be fake as a whole
LOGIT_TOLERANCE = 0.001  # of the score; half precision and six decimals stay well inside
UNKNOWN = "unknown"  # name of the family of a fake that is unlike all known ones
SCORE_RESOLUTION = 1e-7  # probabilities in float32 resolve no more near one
# fields of a manifest row that a score repeats
TRUTH = (
    "clip_id", "label", "attack", "corpus", "source_id", "regions", "duration", "subsets",
)  # fmt: skip
# fields in [0, 1]
SHARES = (
    "score", "clip_threshold", "frame_threshold", "boundary_threshold", "part_score", "whole_score",
)  # fmt: skip


def logit(score: float) -> float:
    """Return ``log(score / (1 - score))`` of a score in [0, 1], finite at both ends.

    The score is first clipped to ``[1e-7, 1 - 1e-7]``, the resolution of float32.
    """
    clipped = min(max(score, SCORE_RESOLUTION), 1 - SCORE_RESOLUTION)
    return log(clipped / (1 - clipped))


def _no_frames() -> np.ndarray:
    return np.zeros(0, dtype=np.float32)


@dataclass(frozen=True)
class FamilyScores:
    """The family of attacks of a clip, if it is fake.

    Attributes:
        scores: P(family) among those of the training, by its name.
        energy: high for a clip unlike all of them (see `fakesound.metrics.attribution`).
        unknown: whether the energy is above its threshold.

    Raises:
        InputError: for scores that are no probabilities, or an energy that is no number.
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
        """The family that the clip is most like."""
        return max(self.scores, key=self.scores.__getitem__)

    @property
    def name(self) -> str:
        """The likeliest family, or "unknown"."""
        return UNKNOWN if self.unknown else self.likeliest


@dataclass(frozen=True, eq=False, kw_only=True)
class ClipScore:
    """One clip: a detector's scores, and the truth to compare them with.

    Attributes:
        clip_id: unique name of the clip.
        score: P(fake) of the clip, in [0, 1].
        logit: log odds of ``score``, unrounded; what ranks clips and enters the cost functions.
        frame_step: length of a frame in seconds.
        frame_scores: P(fake) of each frame; empty for a system that only scores clips.
        label: "genuine" or "fake".
        attack: ``family/generator`` of a fake, None for a genuine clip.
        corpus: where the clip comes from.
        domain: clips recorded alike but for the attack share one.
        source_id: the original recording; clips of one source are not independent.
        regions: the fake spans; none for a genuine clip.
        duration: length of the clip in seconds.
        fold: "seen" or "unseen" in training, of the clip's attack; None for a genuine clip and for
            an attack that only served model selection.
        clip_threshold: the clip is called fake when ``score`` is above it.
        frame_threshold: a frame is called fake when its score is above it.
        subsets: names of the official test subsets that the clip belongs to; most corpora have
            none.
        boundary_scores: P(a fake region begins or ends here) of each frame; empty for a system
            without such scores.
        boundary_threshold: there is an edge where this score peaks above it.
        family: family of attacks it would be of; None for a system without such scores.
        further: scores of heads that give one number in [0, 1] a clip, by task.
        part_score: P(a part of it is fake); None for a system of one hypothesis.
        whole_score: P(all of it is fake), likewise.

    Raises:
        InputError: for a value out of range or at odds with another; the message starts with the
            field's name.
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
                raise InputError(f"{name}: {value} is not in [0, 1]")
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
            raise InputError(f"subsets: {list(self.subsets)} are not names, each given once")
        self._check_truth()
        self._check_frames()

    @classmethod
    def of(cls, clip: Clip, score: float, **fields: Any) -> "ClipScore":  # noqa: ANN401
        """Return the score of ``clip``, with the truth from its manifest row.

        Args:
            clip: the manifest row.
            score: P(fake) of the clip, in [0, 1].
            fields: further attributes; ``logit`` follows from ``score`` where it is not given.

        Raises:
            InputError: for a value out of range or at odds with another.
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
        """How much of a fake is fake, "part" or "whole"; None for a genuine clip."""
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
                raise InputError(f"{name}: every one must be in [0, 1]")
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
            f"frame_scores: clip {without[0]!r} has none and other clips have; give them for all "
            "clips or for none"
        )
    return bool(scores) and not without
