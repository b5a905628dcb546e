"""The detector for users: files and arrays in, detections out."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fakesound.data.audio import stream_audio
from fakesound.data.notes import Notes, to_mono
from fakesound.data.resampling import resampled
from fakesound.data.samples import Samples, to_channels, unpack
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
        self.model = checkpoint.detector().to(check_device(device))
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
        self,
        recording: Any,  # noqa: ANN401  # a path, or whatever numpy makes an array of
        rate: int | None = None,
        channel: int | None = None,
    ) -> Detection:
        """Return the detection for a file or for samples.

        Args:
            recording: path of a file, an array of samples or channels (see
                `fakesound.data.samples.to_channels`), a tensor, or a ``(rate, samples)`` pair.
            rate: sample rate of an array in Hz; that of the detector if None.
            channel: channel to use, from 0; the mean of all if None.

        Raises:
            InputError: naming the file, or the array, and the fault.
        """
        notes = Notes()
        if isinstance(recording, str | Path):
            parts = stream_audio(Path(recording), self.rate, notes, channel)
            return replace(self._detect(parts, notes), path=str(recording))
        samples, given = unpack(recording, rate)
        given = given or self.rate
        mono = to_mono(to_channels(samples), notes, channel)
        notes.resampled(given, self.rate)
        return self._detect(resampled([mono], given, self.rate), notes)

    def detect_stream(self, parts: Iterable[Any], rate: int | None = None) -> Detection:
        """Return the detection for a recording that comes in parts, at constant memory.

        Args:
            parts: arrays of mono samples, converted as in `detect`; empty ones are left out.
            rate: their sample rate in Hz; that of the detector if None.

        Raises:
            InputError: for parts that `detect` refuses, or of several channels.
        """
        _, given = unpack(None, rate)
        given = given or self.rate
        notes = Notes()
        notes.resampled(given, self.rate)

        def mono() -> Iterator[Samples]:
            for part in parts:
                if np.shape(part) == (0,):
                    continue
                channels = to_channels(part)
                if channels.shape[1] > 1:
                    raise InputError(
                        f"stream: a part has {channels.shape[1]} channels; mix them, or send one"
                    )
                yield to_mono(channels, notes)

        return self._detect(resampled(mono(), given, self.rate), notes)

    def _detect(self, parts: Iterator[Samples], notes: Notes) -> Detection:
        samples = 0

        def counted() -> Iterator[Samples]:
            nonlocal samples
            for part in parts:
                samples += len(part)
                yield part

        windows = cut_windows(counted(), GRID.samples(self.rate), self.frames)
        for outputs in score_windows(self.forward, windows):
            detection = self._answer(outputs, samples / self.rate)
            return replace(detection, notes=notes.texts())
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


def check_device(name: str) -> str:
    """Return the name of a torch device that this machine has.

    Raises:
        InputError: if it has no such device.
    """
    try:
        torch.empty(1, device=name)
    except (AssertionError, RuntimeError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"device={name}: cannot be used ({reason}); use cpu") from None
    return name
