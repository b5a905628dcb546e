"""Rows of score files in any format, before they are joined with the manifest."""

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

# default class with higher numbers, and default scale, of each format
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
    """Format of a score file.

    Attributes:
        name: "jsonl" (that of this package), "csv", "asvspoof" (ASVspoof 2019, 2021 and 5, AASIST,
            WeDefense) or "partialspoof" (segment scores of PartialSpoof and WeDefense).
        higher_is: class with higher numbers, "fake" or "genuine"; by default "genuine" for the
            formats of challenges, "fake" for the others.
        scale: "probability", in [0, 1], or "logit", any real number such as a log likelihood ratio;
            by default "logit" for the formats of challenges, "probability" for the others.
        frame_step: length of a frame in seconds if the file has none.

    Raises:
        InputError: for an unknown value, or one that does not apply to the format.
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
        FrameGrid.from_seconds(self.frame_step)  # raises for an invalid step

    def read(
        self, values: Float64[np.ndarray, " value"], where: str
    ) -> tuple[Float64[np.ndarray, " value"], Float64[np.ndarray, " value"]]:
        """Convert the numbers of a file to P(fake) and log odds.

        Probabilities are clipped to [1e-7, 1 - 1e-7] for the conversion. Logits are kept exactly,
        so the ranking does not change.

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
            raise InputError(f"{where}: {outside[0]} is not in [0, 1]; is the scale logit?")
        fake = values if self.higher_is == "fake" else 1 - values
        clipped = np.clip(fake, SCORE_RESOLUTION, 1 - SCORE_RESOLUTION)
        return fake, np.log(clipped / (1 - clipped))


@dataclass(frozen=True, eq=False, kw_only=True)
class ScoreRow:
    """Scores of one clip in a score file.

    Attributes:
        where: file and row, for messages.
        clip_id: id of the clip in the manifest.
        score: P(fake) of the clip.
        logit: log odds of the score.
        frame_step: length of a frame in seconds.
        frame_scores: P(fake) of each frame; may be empty.
        claims: labels in the row, by their keys in the manifest.
        extra: fold and thresholds in the row, if any.
    """

    where: str
    clip_id: str
    score: float
    logit: float
    frame_step: float
    frame_scores: Float32[np.ndarray, " frame"] = field(
        default_factory=lambda: np.zeros(0, np.float32)
    )
    claims: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


def score_row(
    score_format: ScoreFormat,
    where: str,
    clip_id: str,
    value: float | None = None,
    frames: Float[np.ndarray, " frame"] | None = None,
    claims: Mapping[str, Any] | None = None,
) -> ScoreRow:
    """Return the row of a clip from the numbers of a file.

    A clip without a number gets that of its highest frame, as PartialSpoof scores an utterance by
    its least bona fide segment (Zhang et al. 2023).

    Args:
        score_format: format of the file.
        where: file and row, for messages.
        clip_id: id of the clip in the manifest.
        value: number of the clip.
        frames: numbers of the frames; None without frame scores.
        claims: labels in the row, by their keys in the manifest.

    Raises:
        InputError: starting with ``where``, for a number that is missing or out of range.
    """
    score = logit = frame_scores = np.zeros(0)
    if frames is not None:
        if not frames.size:
            raise InputError(f"{where}, frame_scores: empty; give a number for each frame")
        frame_scores, logit = score_format.read(frames.astype(np.float64), f"{where}, frame_scores")
        highest = logit.argmax()
        score, logit = frame_scores[[highest]], logit[[highest]]
    if value is not None:
        score, logit = score_format.read(np.array([value]), f"{where}, score")
    elif frames is None:
        raise InputError(f"{where}, score: missing; give a number")
    return ScoreRow(
        where=where,
        clip_id=clip_id,
        score=float(score[0]),
        logit=float(logit[0]),
        frame_step=score_format.frame_step,
        frame_scores=frame_scores.astype(np.float32),
        claims=claims or {},
    )


def number(text: object, where: str) -> float:
    """Convert a value of a file, a JSON number or text, to a finite number.

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
        raise InputError(f"{where}: {value} is not a finite number; each score must be finite")
    return value


def label_of(word: str, where: str) -> str:
    """Return the label that a word such as "bonafide" stands for.

    Raises:
        InputError: starting with ``where``, for an unknown word.
    """
    label = LABEL_WORDS.get(word.strip().lower())
    if label is None:
        raise InputError(f"{where}: {word!r} is not one of {', '.join(LABEL_WORDS)}")
    return label
