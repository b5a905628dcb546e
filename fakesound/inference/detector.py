"""The detector for users: files, arrays and streams in, detections out."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32

from fakesound.data.audio import audio_info, from_pcm, to_pcm
from fakesound.data.stream import resampled, stream_audio
from fakesound.errors import InputError
from fakesound.inference.detection import Detection, FakeRegion
from fakesound.inference.hub import pull
from fakesound.inference.listening import Listening, probabilities
from fakesound.inference.regions import find_regions
from fakesound.metrics.attribution import family_scores
from fakesound.models.build import GRID
from fakesound.scoring.checkpoint import DEFAULT, Checkpoint, read_checkpoint
from fakesound.scoring.clip_score import clip_logits, pool_families

CONFIDENCE = 0.6
BATCH = 16  # windows of a file that are heard together


class Detector:
    """A trained detector.

    ``Detector.from_pretrained().detect("recording.wav")`` is all there is to it.

    Args:
        checkpoint: what was trained.
        confidence: from 0.5 to below 1: a verdict whose probability is less is "uncertain".
        device: where it computes.
    """

    def __init__(
        self, checkpoint: Checkpoint, confidence: float = CONFIDENCE, device: str = "cpu"
    ) -> None:
        if not 0.5 <= confidence < 1:
            raise InputError(f"confidence={confidence}: must be from 0.5 to below 1")
        self.checkpoint, self.confidence, self.device = checkpoint, confidence, device
        self.model = checkpoint.detector().to(device)
        self.rate = checkpoint.config.data.sample_rate
        self.seconds = checkpoint.config.data.window_seconds
        self.clip_threshold = checkpoint.thresholds.get("clip", 0.5)
        self.frame_threshold = checkpoint.thresholds.get("frame", 0.5)

    @classmethod
    def from_pretrained(
        cls, name: str = DEFAULT, confidence: float = CONFIDENCE, device: str = "cpu"
    ) -> "Detector":
        """Return the detector that comes with the package, or "owner/name" of the hub.

        Raises:
            InputError: if it cannot be fetched.
        """
        path = DEFAULT if name == DEFAULT else pull(name)
        return cls.from_checkpoint(path, confidence, device)

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, confidence: float = CONFIDENCE, device: str = "cpu"
    ) -> "Detector":
        """Return the detector at ``path``: a run, a checkpoint, or an exported safetensors file.

        Raises:
            InputError: naming the file and the mend.
        """
        return cls(read_checkpoint(path), confidence, device)

    def detect(
        self, recording: str | Path | Float[np.ndarray, "..."], rate: int | None = None
    ) -> Detection:
        """Return what is to be said of a file, or of an array of samples in [-1, 1].

        Args:
            recording: path of a file that libsndfile reads, or samples, or channels of samples
                ("channel sample" or "sample channel", whichever is shorter are the channels).
            rate: samples a second of an array; that of the detector if None.

        Raises:
            InputError: naming the file, or the array, and what is wrong with it.
        """
        if isinstance(recording, str | Path):
            return replace(self._file(Path(recording)), path=str(recording))
        return self._heard([mono(recording)], rate or self.rate)

    def detect_all(self, recordings: Iterable[str | Path]) -> Iterator[Detection | InputError]:
        """Yield the detection of each file, or what is wrong with it."""
        for recording in recordings:
            try:
                yield self.detect(recording)
            except InputError as error:
                yield error

    def listen(self) -> Listening:
        """Return what takes samples in parts, mono at the detector's rate; see `Listening`."""
        return self._listening(1)

    def _listening(self, batch: int) -> Listening:
        return Listening(self._hear, self._conclude, GRID, self.rate, self.seconds, batch)

    def _file(self, path: Path) -> Detection:
        audio_info(path)
        listening = self._listening(BATCH)
        for part in stream_audio(path, self.rate):
            listening.push(self._sixteen_bits(part))
        return listening.finish()

    def _heard(self, parts: Iterable[Float32[np.ndarray, " sample"]], rate: int) -> Detection:
        listening = self._listening(BATCH)
        for part in resampled(parts, rate, self.rate):
            listening.push(self._sixteen_bits(part))
        if not listening.samples:
            raise InputError("recording: holds no samples")
        return listening.finish()

    def _sixteen_bits(self, part: Float32[np.ndarray, " sample"]) -> Float32[np.ndarray, " sample"]:
        # what it was trained on
        return from_pcm(to_pcm(part))

    @torch.inference_mode()
    def _hear(
        self, windows: Float32[np.ndarray, "window sample"]
    ) -> Mapping[str, Float32[np.ndarray, "window frame ..."]]:
        output = self.model(torch.from_numpy(windows).to(self.device))._asdict()
        return {name: v.float().cpu().numpy() for name, v in output.items() if v is not None}

    def _conclude(self, outputs: Mapping[str, np.ndarray], duration: float) -> Detection:
        logits = outputs.get("frame_logits", np.zeros(0))
        found = clip_logits(outputs, self.model.pooling)
        calibrated = self.checkpoint.calibrator.calibrated(np.array([found.clip]))
        score = float(1 / (1 + np.exp(-calibrated[0])))
        verdict = "fake" if score >= self.clip_threshold else "genuine"
        if max(score, 1 - score) < self.confidence:
            verdict = "uncertain"
        frames = probabilities(logits)
        regions: tuple[FakeRegion, ...] = ()
        if verdict != "genuine" and frames.size:
            regions = find_regions(frames, self.frame_threshold, GRID, duration)
        kind = None
        if verdict != "genuine" and found.part is not None and found.whole is not None:
            kind = "whole" if found.whole > found.part else "part"
        return Detection(
            verdict,
            score,
            regions,
            duration,
            GRID.step,
            frames,
            self._family(outputs, verdict),
            kind=kind,
        )

    def _family(self, outputs: Mapping[str, np.ndarray], verdict: str) -> str | None:
        if "family_logits" not in outputs or verdict == "genuine":
            return None
        logits = pool_families(outputs["family_logits"], outputs["family_attention"])
        told = family_scores(logits, self.model.families)
        limit = self.checkpoint.heads.thresholds.get("energy")
        if limit is not None and told.energy > limit:
            return "unknown"
        return max(told.scores, key=lambda family: told.scores[family])


def mono(audio: Float[np.ndarray, "..."]) -> Float32[np.ndarray, " sample"]:
    """Return an array of samples, or of channels of them, as one channel.

    Raises:
        InputError: if it is empty, holds NaN or Inf, or has more than two dimensions.
    """
    made = np.asarray(audio)
    if made.ndim not in (1, 2) or not made.size:
        raise InputError(f"recording: is an array of shape {made.shape}; give samples or channels")
    if np.issubdtype(made.dtype, np.integer):
        made = made.astype(np.float32) / -float(np.iinfo(made.dtype).min or -1)
    if not np.isfinite(made).all():
        raise InputError("recording: holds NaN or Inf samples")
    if made.ndim == 2:
        made = made.mean(axis=int(np.argmin(made.shape)))
    return np.ascontiguousarray(made, dtype=np.float32)
