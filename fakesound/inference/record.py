"""What a detection depends on beside the recording: versions, model and settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fakesound import __version__
from fakesound.inference.model import Model

SCHEMA = 1  # of `detections.schema.json`


@dataclass(frozen=True)
class Record:
    """What a detection depends on beside the recording.

    Attributes:
        model: name of the detector, "default" or its path.
        model_sha256: SHA-256 of its file.
        weights_sha256: SHA-256 of the file with its weights; differs for an ONNX file.
        backend: "onnx" or "torch".
        clip_threshold, frame_threshold: thresholds of scores where half of the clips are fake.
        confidence: lowest probability of a certain verdict.
        prior: share of fakes that scores assume.
        created: date and time, ISO 8601 in UTC.
        fakesound: version of this package.
    """

    model: str
    model_sha256: str
    weights_sha256: str
    backend: str
    clip_threshold: float
    frame_threshold: float
    confidence: float
    prior: float
    created: str
    fakesound: str = __version__

    @classmethod
    def of(
        cls, model: Model, thresholds: tuple[float, float], confidence: float, prior: float
    ) -> "Record":
        """Return the record of a detection made now.

        Args:
            model: trained detector.
            thresholds: thresholds of clips and frames.
            confidence: lowest probability of a certain verdict.
            prior: share of fakes that scores assume.
        """
        created = datetime.now(UTC).isoformat(timespec="seconds")
        hashes = (model.sha256, model.weights_sha256)
        return cls(model.name, *hashes, model.backend, *thresholds, confidence, prior, created)

    def document(self, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return ``results`` with this record, in the layout of `detections.schema.json`."""
        return {
            "schema": SCHEMA,
            "fakesound": self.fakesound,
            "model": {
                "name": self.model,
                "sha256": self.model_sha256,
                "weights_sha256": self.weights_sha256,
                "backend": self.backend,
            },
            "settings": {
                "clip_threshold": self.clip_threshold,
                "frame_threshold": self.frame_threshold,
                "confidence": self.confidence,
                "prior": self.prior,
            },
            "created": self.created,
            "results": list(results),
        }

    def columns(self) -> dict[str, Any]:
        """Return this record as columns of a table."""
        return {
            "schema": SCHEMA,
            "fakesound": self.fakesound,
            "model": self.model,
            "model_sha256": self.model_sha256,
            "clip_threshold": self.clip_threshold,
            "frame_threshold": self.frame_threshold,
            "confidence": self.confidence,
            "prior": self.prior,
            "created": self.created,
        }
