"""What a score file says of clips, whatever its format, before the truth is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64
from scipy.special import expit

from fakesound.errors import InputError
from fakesound.metrics.scores import SCORE_RESOLUTION
from fakesound.timeline import FrameGrid

# each format, and what its numbers mean where the user does not say
CONVENTIONS = {
    "jsonl": ("fake", "probability"),
    "csv": ("fake", "probability"),
    "asvspoof": ("genuine", "logit"),
    "partialspoof": ("genuine", "logit"),
}
LABEL_WORDS = {
    "genuine": "genuine",
    "bonafide": "genuine",
    "bona-fide": "genuine",
    "real": "genuine",
    "fake": "fake",
    "spoof": "fake",
}


@dataclass(frozen=True)
class ScoreFormat:
    """How a detector writes its scores.

    Attributes:
        name: "jsonl" (ours), "csv", "asvspoof" (ASVspoof 2019, 2021 and 5, AASIST, WeDefense) or
            "partialspoof" (segment scores of PartialSpoof and WeDefense).
        higher_is: "fake" or "genuine", what a higher number speaks for; by default as the format
            has it: genuine for the challenges, fake for the others.
        scale: "probability", in [0, 1], or "logit", any real number of which 0 is undecided, such
            as a log likelihood ratio; by default logit for the challenges.
        frame_step: seconds a frame lasts where the file does not say.

    Raises:
        InputError: for an unknown word, or one that cannot hold of the format.
    """

    name: str = "jsonl"
    higher_is: str | None = None
    scale: str | None = None
    frame_step: float = 0.02

    def __post_init__(self) -> None:
        if self.name not in CONVENTIONS:
            raise InputError(f"format: {self.name!r} is not one of {', '.join(CONVENTIONS)}")
        for key, default, words in zip(
            ("higher_is", "scale"),
            CONVENTIONS[self.name],
            (("fake", "genuine"), ("probability", "logit")),
            strict=True,
        ):
            value = getattr(self, key)
            if value not in (None, *words):
                raise InputError(f"{key}: {value!r} is not {words[0]!r} or {words[1]!r}")
            if self.name == "jsonl" and value not in (None, default):
                raise InputError(f"{key}: {value!r}, but scores in jsonl are P(fake); use csv")
            object.__setattr__(self, key, value or default)
        FrameGrid.from_seconds(self.frame_step)  # says so if it is no length of time

    def read(
        self, values: Float64[np.ndarray, " value"], where: str
    ) -> tuple[Float64[np.ndarray, " value"], Float64[np.ndarray, " value"]]:
        """Return P(fake) and its log odds of the numbers of a file.

        Log odds of probabilities, and probabilities of log odds, stay a distance of 1e-7 from zero
        and one; a number that is a logit already keeps all its digits, so that it ranks as it did.

        Raises:
            InputError: starting with ``where``, for a number that is not finite or not a
                probability.
        """
        if not np.isfinite(values).all():
            raise InputError(f"{where}: {values[~np.isfinite(values)][0]} is not a finite number")
        if self.scale == "logit":
            logits = values if self.higher_is == "fake" else -values
            return np.clip(expit(logits), SCORE_RESOLUTION, 1 - SCORE_RESOLUTION), logits
        outside = values[(values < 0) | (values > 1)]
        if outside.size:
            raise InputError(f"{where}: {outside[0]} is no probability; is the scale logit?")
        fake = values if self.higher_is == "fake" else 1 - values
        clipped = np.clip(fake, SCORE_RESOLUTION, 1 - SCORE_RESOLUTION)
        return fake, np.log(clipped / (1 - clipped))


def _no_frames() -> np.ndarray:
    return np.zeros(0, dtype=np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreRow:
    """What a file says of one clip.

    Attributes:
        where: the file and the row, for messages.
        clip_id: the clip, as the manifest calls it.
        score: P(fake) of the clip.
        logit: its log odds.
        frame_step: length of a frame in seconds.
        frame_scores: P(fake) of each frame; may be empty.
        claims: truth that the row states itself, by its key in a manifest.
        kept: fold and thresholds of the row, where it has any.
    """

    where: str
    clip_id: str
    score: float
    logit: float
    frame_step: float
    frame_scores: Float32[np.ndarray, " frame"] = field(default_factory=_no_frames)
    claims: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)


def clip_row(
    style: ScoreFormat, where: str, clip_id: str, value: float, claims: Mapping[str, Any]
) -> ScoreRow:
    """Return the row of a clip that has one number and no frames."""
    score, logit = style.read(np.array([value]), f"{where}, score")
    return ScoreRow(
        where=where,
        clip_id=clip_id,
        score=float(score[0]),
        logit=float(logit[0]),
        frame_step=style.frame_step,
        claims=claims,
    )


def frames_row(
    style: ScoreFormat,
    where: str,
    clip_id: str,
    frames: Float[np.ndarray, " frame"],
    value: float | None = None,
    claims: Mapping[str, Any] | None = None,
) -> ScoreRow:
    """Return the row of a clip with frames.

    Without a number of its own the clip is as fake as its most fake frame, as PartialSpoof scores
    an utterance by the least bona fide of its segments (Zhang et al. 2023).
    """
    if not frames.size:
        raise InputError(f"{where}, frame_scores: no numbers; give one for every frame")
    scores, logits = style.read(frames.astype(np.float64), f"{where}, frame_scores")
    if value is None:
        most = int(logits.argmax())
        score, logit = float(scores[most]), float(logits[most])
    else:
        clip = clip_row(style, where, clip_id, value, {})
        score, logit = clip.score, clip.logit
    return ScoreRow(
        where=where,
        clip_id=clip_id,
        score=score,
        logit=logit,
        frame_step=style.frame_step,
        frame_scores=scores.astype(np.float32),
        claims=claims or {},
    )


def number(text: object, where: str) -> float:
    """Return a finite number of a file, from JSON or from text.

    Raises:
        InputError: starting with ``where``.
    """
    try:
        value = float(text) if isinstance(text, str | int | float) else None
    except (OverflowError, ValueError):
        value = None
    if value is None or isinstance(text, bool):
        raise InputError(f"{where}: {text!r} is not a number")
    if not isfinite(value):
        raise InputError(f"{where}: {value} is not a finite number; every score must be one")
    return value


def label_of(word: str, where: str) -> str:
    """Return the label that a challenge's word means.

    Raises:
        InputError: starting with ``where``, for a word that means none.
    """
    label = LABEL_WORDS.get(word.strip().lower())
    if label is None:
        raise InputError(f"{where}: {word!r} is not one of {', '.join(LABEL_WORDS)}")
    return label
