"""What a detector says of a recording."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32

VERDICTS = ("genuine", "fake", "uncertain")


@dataclass(frozen=True)
class FakeRegion:
    """A span called fake.

    Attributes:
        onset, offset: seconds.
        score: mean score of its frames.
    """

    onset: float
    offset: float
    score: float


@dataclass(frozen=True)
class FrameScores:
    """Scores of frames that follow each other, final ones of a recording that goes on.

    Attributes:
        onset: seconds, of the first.
        step: seconds of a frame.
        scores: P(fake) of each frame.
    """

    onset: float
    step: float
    scores: Float32[np.ndarray, " frame"]


@dataclass(frozen=True)
class Detection:
    """What a detector says of one recording.

    Attributes:
        verdict: "genuine", "fake", or "uncertain" where the score is too near to even odds.
        score: calibrated P(fake), for recordings of which half are fake.
        regions: spans called fake; none where the verdict is "genuine".
        duration: seconds.
        frame_step: seconds of a frame.
        frame_scores: P(fake) of each frame.
        attack_family: what the fake is likest, "unknown", or None for a detector that cannot say
            or a recording not called fake.
        path: of the file, where it was one.
        kind: "part" or "whole", how much of a fake is fake; None where the verdict is "genuine",
            and for a detector that does not tell.
    """

    verdict: str
    score: float
    regions: tuple[FakeRegion, ...]
    duration: float
    frame_step: float
    frame_scores: Float32[np.ndarray, " frame"] = field(repr=False)
    attack_family: str | None = None
    path: str | None = None
    kind: str | None = None

    @property
    def fake_share(self) -> float:
        """The share of its time that lies in regions."""
        return sum(r.offset - r.onset for r in self.regions) / max(self.duration, 1e-9)

    def to_plain(self) -> dict[str, Any]:
        """Return it as what JSON holds, without the scores of frames."""
        return {
            "path": self.path,
            "error": None,
            "verdict": self.verdict,
            "score": round(self.score, 6),
            "kind": self.kind,
            "regions": [
                {"onset": r.onset, "offset": r.offset, "score": round(r.score, 6)}
                for r in self.regions
            ],
            "duration": round(self.duration, 6),
            "attack_family": self.attack_family,
        }
