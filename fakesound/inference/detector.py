"""The detector for users: files and arrays in, detections out."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from fakesound.data.audio import audio_info, from_pcm, to_pcm
from fakesound.data.stream import resampled, stream_audio
from fakesound.errors import InputError
from fakesound.inference.detection import Detection
from fakesound.scoring.checkpoint import DEFAULT, Checkpoint, forward_of, read_checkpoint
from fakesound.scoring.clip_score import attack_families, clip_logits, frame_probabilities
from fakesound.scoring.decision import CONFIDENCE, decide, find_regions
from fakesound.scoring.windows import FrameValues, cut_windows, score_windows
from fakesound.timeline import GRID


class Detector:
    """A trained detector, ready for recordings of any kind and length.

    ``Detector.from_pretrained().detect("recording.wav")`` gives a `Detection`.

    Args:
        checkpoint: trained detector.
        confidence: probability from 0.5 to below 1, under which a verdict is "uncertain".
        device: torch device to compute on.

    Raises:
        InputError: for a confidence out of range.
    """

    def __init__(
        self, checkpoint: Checkpoint, confidence: float = CONFIDENCE, device: str = "cpu"
    ) -> None:
        if not 0.5 <= confidence < 1:
            raise InputError(f"confidence={confidence}: must be from 0.5 to below 1")
        self.checkpoint, self.confidence = checkpoint, confidence
        self.model = checkpoint.detector().to(device)
        self.forward = forward_of(self.model, device)
        self.rate = checkpoint.config.data.sample_rate
        self.frames = GRID.count(checkpoint.config.data.window_seconds)
        self.clip_threshold = checkpoint.thresholds.get("clip", 0.5)
        self.frame_threshold = checkpoint.thresholds.get("frame", 0.5)

    @classmethod
    def from_pretrained(cls, confidence: float = CONFIDENCE, device: str = "cpu") -> "Detector":
        """Return the detector that comes with the package."""
        return cls.from_checkpoint(DEFAULT, confidence, device)

    @classmethod
    def from_checkpoint(
        cls, path: str | Path, confidence: float = CONFIDENCE, device: str = "cpu"
    ) -> "Detector":
        """Return the detector at ``path``: a run, a checkpoint, or an exported safetensors file.

        Raises:
            InputError: naming the file and the fix.
        """
        return cls(read_checkpoint(path), confidence, device)

    def detect(
        self, recording: str | Path | Float[np.ndarray, "..."], rate: int | None = None
    ) -> Detection:
        """Return the detection for a file or an array of samples.

        Args:
            recording: path of a file that libsndfile reads, or an array of samples or channels; see
                `to_samples`.
            rate: sample rate of an array in Hz; that of the detector if None.

        Raises:
            InputError: naming the file, or the array, and the fault.
        """
        if isinstance(recording, str | Path):
            path = Path(recording)
            audio_info(path)
            return replace(self._detect(stream_audio(path, self.rate)), path=str(recording))
        return self._detect(resampled([to_samples(recording)], rate or self.rate, self.rate))

    def _detect(self, parts: Iterator[Float32[np.ndarray, " sample"]]) -> Detection:
        samples = 0

        def counted() -> Iterator[Float32[np.ndarray, " sample"]]:
            nonlocal samples
            for part in parts:
                samples += len(part)
                # the training audio had 16 bits
                yield from_pcm(to_pcm(part))

        windows = cut_windows(counted(), GRID.samples(self.rate), self.frames)
        for outputs in score_windows(self.forward, windows):
            return self._answer(outputs, samples / self.rate)
        raise InputError("recording: has no samples")

    def _answer(self, outputs: dict[str, FrameValues], duration: float) -> Detection:
        logits = clip_logits(outputs, self.model.pooling)
        score = self.checkpoint.calibrator.score(logits.clip)
        verdict = decide(score, self.clip_threshold, self.confidence)
        frames = frame_probabilities(outputs, "frame_logits")
        detection = Detection(verdict, score, (), duration, GRID.step, frames)
        if verdict == "genuine":
            return detection
        kind, family = None, attack_families(outputs, self.model.families)
        if logits.part is not None and logits.whole is not None:
            kind = "whole" if logits.whole > logits.part else "part"
        if family is not None:
            limit = self.checkpoint.heads.thresholds.get("energy", np.inf)
            family = replace(family, unknown=family.energy > limit)
        return replace(
            detection,
            regions=find_regions(frames, self.frame_threshold, duration) if frames.size else (),
            attack_family=None if family is None else family.name,
            kind=kind,
        )


def to_samples(audio: Float[np.ndarray, "..."]) -> Float32[np.ndarray, " sample"]:
    """Return an array of samples, or of channels, as one channel of samples in [-1, 1).

    Floating point is read as it is. Signed integers are divided by their full scale; unsigned ones,
    as in 8-bit WAV files, are centred first. The shorter axis holds the channels.

    Raises:
        InputError: if the array is empty, has more than two axes, holds NaN or Inf, or has another
            type than numbers.
    """
    array = np.asarray(audio)
    if array.ndim not in (1, 2) or not array.size:
        raise InputError(f"recording: an array of shape {array.shape}; give samples or channels")
    if array.dtype.kind not in "iuf":
        raise InputError(f"recording: an array of {array.dtype}; give numbers, such as float32")
    if array.dtype.kind in "iu":
        # full scale is half the range, and so is the middle of an unsigned one
        scale = 2.0 ** (8 * array.dtype.itemsize - 1)
        array = array / scale - (array.dtype.kind == "u")
    if not np.isfinite(array).all():
        raise InputError("recording: holds NaN or Inf samples")
    if array.ndim == 2:
        array = array.mean(axis=int(np.argmin(array.shape)))
    return np.ascontiguousarray(array, dtype=np.float32)
