"""Record of a detection: version, model and settings."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fakesound.provenance import software_version

SCHEMA = 1  # of `detections.schema.json`


@dataclass(frozen=True)
class Record:
    """Everything a detection depends on besides the recording.

    Attributes:
        model: name of the detector, "default" or its path.
        model_sha256: SHA-256 of the file of the detector.
        weights_sha256: SHA-256 of the file that an ONNX file was exported from; else
            ``model_sha256``.
        backend: "onnx" or "torch".
        clip_threshold, frame_threshold: thresholds of scores for a share of 0.5 fakes.
        confidence: probability below which a verdict is "uncertain".
        prior: share of fakes among the recordings that scores assume.
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
    fakesound: str = field(default_factory=software_version)

    def document(self, results: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return ``results`` with this record, in the format of ``detections.schema.json``."""
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
