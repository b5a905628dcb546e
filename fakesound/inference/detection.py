"""The answer of a detector to one recording."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float32

from fakesound.scoring.decision import FakeRegion


@dataclass(frozen=True)
class Detection:
    """The answer of a detector to one recording.

    Attributes:
        verdict: "genuine", "fake" or "uncertain"; see `fakesound.scoring.decision.decide`.
        score: calibrated P(fake), for recordings of which half are fake.
        regions: spans called fake; none where the verdict is "genuine".
        duration: length in seconds.
        frame_step: length of a frame in seconds.
        frame_scores: P(fake) of each frame.
        attack_family: most similar family of attacks, or "unknown"; None for a detector without
            attribution and for the verdict "genuine".
        path: path of the file; None for an array.
        kind: "part" or "whole", how much of a fake is fake; None where the verdict is "genuine",
            and for a detector that does not distinguish the two.
        notes: how the recording was read, where it matters for the result; see
            `fakesound.data.notes.Notes`.
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
    notes: tuple[str, ...] = ()

    @property
    def fake_share(self) -> float:
        """The share of the recording that lies in regions."""
        return sum(r.offset - r.onset for r in self.regions) / max(self.duration, 1e-9)

    def to_plain(self) -> dict[str, Any]:
        """Return the detection as plain values for JSON, without frame scores."""
        return {
            "path": self.path,
            "error": None,
            "notes": list(self.notes),
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
