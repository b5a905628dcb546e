"""Detector for users: takes files and arrays, returns detections."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np

from fakesound.config.checks import is_number, one_of
from fakesound.data.audio import stream_audio
from fakesound.data.notes import Notes, to_mono
from fakesound.data.resampling import resampled
from fakesound.data.samples import Samples, check_rate, to_channels, unpack
from fakesound.errors import InputError
from fakesound.inference.detection import Detection, Detections
from fakesound.inference.model import Model, read_model
from fakesound.inference.record import Record
from fakesound.progress import progress_bar
from fakesound.scoring.clip_score import attack_families, clip_logits, frame_scores
from fakesound.scoring.decision import CONFIDENCE, decide, find_regions, with_prior
from fakesound.scoring.metadata import DEFAULT
from fakesound.scoring.windows import FrameValues, cut_windows, score_windows
from fakesound.timeline import GRID

ON_ERROR = ("raise", "skip", "return")


class Detector:
    """Trained detector for recordings of any format and length.

    ``Detector.from_pretrained().detect("recording.wav")`` returns a `Detection`.

    Args:
        model: trained model.
        confidence: probability, from 0.5 to below 1, below which a verdict is "uncertain".
        prior: share of fakes among the recordings, between 0 and 1.

    Raises:
        InputError: for a confidence or a prior out of range.
    """

    def __init__(self, model: Model, confidence: float = CONFIDENCE, prior: float = 0.5) -> None:
        self.model = model
        self.rate = model.config.data.sample_rate
        self.frames = GRID.count(model.config.data.window_seconds)
        self.clip_threshold = model.thresholds.get("clip", 0.5)
        self.frame_threshold = model.thresholds.get("frame", 0.5)
        self.confidence, self.prior = confidence, prior
        self._settings(None, None)

    @classmethod
    def from_pretrained(
        cls,
        confidence: float = CONFIDENCE,
        device: str = "auto",
        *,
        backend: str = "auto",
        prior: float = 0.5,
    ) -> "Detector":
        """Return the detector of the package; see `from_checkpoint`."""
        return cls.from_checkpoint(DEFAULT, confidence, device, backend=backend, prior=prior)

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path,
        confidence: float = CONFIDENCE,
        device: str = "auto",
        *,
        backend: str = "auto",
        prior: float = 0.5,
    ) -> "Detector":
        """Return the detector at ``path``.

        Args:
            path: "default", the folder of a run, a checkpoint, or an exported file.
            confidence: probability below which a verdict is "uncertain".
            device: "auto", "cpu", or another torch device.
            backend: "onnx", "torch", or "auto": onnxruntime for the detector of the package and for
                ONNX files, torch for checkpoints and for devices other than the CPU.
            prior: share of fakes among the recordings.

        Raises:
            InputError: naming the file or the argument, and the fix.
        """
        return cls(read_model(path, backend, device), confidence, prior)

    def __repr__(self) -> str:
        data = self.model.config
        return (
            f"Detector({self.model.name!r}, {data.backbone.name}, {self.rate} Hz, "
            f"backend={self.model.backend!r}, confidence={self.confidence}, prior={self.prior})"
        )

    def detect(
        self,
        recording: Any,  # noqa: ANN401  # a path, a file, or anything that numpy converts
        rate: int | None = None,
        channel: int | None = None,
        *,
        confidence: float | None = None,
        prior: float | None = None,
        progress: Callable[[float], None] = lambda seconds: None,
    ) -> Detection:
        """Detect whether a recording is fake, and which parts of it.

        Args:
            recording: path of a file, an open binary file, an array of samples or channels (see
                `fakesound.data.samples.to_channels`), a tensor, or a ``(rate, samples)`` pair.
            rate: sample rate of an array in Hz, which a file or a pair has itself.
            channel: index of the channel to use, from 0; None for the mean of all channels.
            confidence: probability below which the verdict is "uncertain"; None for that of the
                detector.
            prior: share of fakes among the recordings; None for that of the detector.
            progress: function called with the seconds of audio read so far.

        Raises:
            InputError: naming the file or the array, and the fault.
        """
        settings = self._settings(confidence, prior)
        notes = Notes()
        if rate is not None and (isinstance(recording, str | Path) or hasattr(recording, "read")):
            raise InputError(f"rate={rate}: a file has its own; remove it")
        if isinstance(recording, str | Path):
            path = Path(recording)
            parts = stream_audio(path, self.rate, notes, channel)
            detection = self._detect(parts, notes, *settings, progress)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            return replace(detection, path=str(recording), sha256=digest)
        if hasattr(recording, "read"):
            content = recording.read()
            name = str(getattr(recording, "name", "recording"))
            parts = stream_audio(name, self.rate, notes, channel, content)
            digest = hashlib.sha256(content).hexdigest()
            detection = self._detect(parts, notes, *settings, progress)
            return replace(detection, path=name, sha256=digest)
        samples, array_rate = unpack(recording, rate)
        channels = to_channels(samples)
        if array_rate is None:
            raise InputError("recording: an array has no sample rate; give rate= in Hz")
        mono = to_mono(channels, notes, channel)
        notes.resampled(array_rate, self.rate)
        return self._detect(resampled([mono], array_rate, self.rate), notes, *settings, progress)

    def detect_stream(self, parts: Iterable[Any], rate: int) -> Detection:
        """Detect in a recording that arrives in parts, with constant memory.

        Args:
            parts: list or iterator of arrays of mono samples, converted as in `detect`; empty ones
                are skipped.
            rate: sample rate of the parts in Hz.

        Raises:
            InputError: for parts that are invalid or have several channels.
        """
        check_rate(rate)
        if isinstance(parts, str | Path | bytes) or len(getattr(parts, "shape", ())) == 1:
            raise InputError(
                "parts: one recording; give a list of arrays of samples, or use detect"
            )
        notes = Notes()
        notes.resampled(rate, self.rate)

        def mono() -> Iterator[Samples]:
            for part in parts:
                if np.shape(part) == (0,):
                    continue
                channels = to_channels(part)
                if channels.shape[1] > 1:
                    raise InputError(
                        f"stream: a part has {channels.shape[1]} channels; pass one channel"
                    )
                yield to_mono(channels, notes)

        settings = self._settings(None, None)
        return self._detect(resampled(mono(), rate, self.rate), notes, *settings)

    @overload
    def detect_many(
        self,
        recordings: Iterable[Any],
        *,
        on_error: Literal["raise", "skip"] = "raise",
        progress: bool | Callable[[int, int], None] = False,
    ) -> Detections[Detection]: ...
    @overload
    def detect_many(
        self,
        recordings: Iterable[Any],
        *,
        on_error: Literal["return"],
        progress: bool | Callable[[int, int], None] = False,
    ) -> Detections[Detection | InputError]: ...
    def detect_many(
        self,
        recordings: Iterable[Any],
        *,
        on_error: Literal["raise", "skip", "return"] = "raise",
        progress: bool | Callable[[int, int], None] = False,
    ) -> Detections[Any]:
        """Detect in several recordings, in order.

        Args:
            recordings: recordings, as for `detect`.
            on_error: "raise" for a recording that cannot be read, "skip" it, or "return" its
                `InputError` in its place.
            progress: whether to show a progress bar; or a function called with the number of
                finished recordings and their total.

        Raises:
            InputError: with "raise", naming the recording and the fault.
        """
        one_of("on_error", on_error, ON_ERROR)
        if isinstance(recordings, str | bytes | Path):
            raise InputError("recordings: one path; give a list of recordings, or use detect")
        all_recordings = list(recordings)
        if progress is True:
            with progress_bar("detecting") as bar:
                return self.detect_many(all_recordings, on_error=on_error, progress=bar)
        items: list[Detection | InputError] = []
        for number, recording in enumerate(all_recordings):
            try:
                items.append(self.detect(recording))
            except InputError as error:
                if on_error == "raise":
                    raise
                if on_error == "return":
                    items.append(error)
            if callable(progress):
                progress(number + 1, len(all_recordings))
        return Detections(items, self.record())

    def record(self, confidence: float | None = None, prior: float | None = None) -> Record:
        """Return the record of a detection that is made now."""
        confidence, prior = self._settings(confidence, prior)
        return Record(
            model=self.model.name,
            model_sha256=self.model.sha256,
            weights_sha256=self.model.weights_sha256,
            backend=self.model.backend,
            clip_threshold=self.clip_threshold,
            frame_threshold=self.frame_threshold,
            confidence=confidence,
            prior=prior,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _settings(self, confidence: float | None, prior: float | None) -> tuple[float, float]:
        confidence = self.confidence if confidence is None else confidence
        prior = self.prior if prior is None else prior
        if not (is_number(confidence) and 0.5 <= confidence < 1):
            raise InputError(f"confidence={confidence}: must be a number from 0.5 to below 1")
        # checks the prior
        with_prior(0.5, prior)
        return confidence, prior

    def _detect(
        self,
        parts: Iterator[Samples],
        notes: Notes,
        confidence: float,
        prior: float,
        progress: Callable[[float], None] = lambda seconds: None,
    ) -> Detection:
        samples = 0

        def counted() -> Iterator[Samples]:
            nonlocal samples
            for part in parts:
                samples += len(part)
                yield part
                progress(samples / self.rate)

        windows = cut_windows(counted(), GRID.samples(self.rate), self.frames)
        for outputs in score_windows(self.model.forward, windows):
            duration, crop = samples / self.rate, self.model.config.data.crop.seconds
            if duration < crop / 2:
                notes.write(
                    "length", f"{duration:.2g} s; the detector needs {crop / 2:g} s or more"
                )
            detection = self._answer(outputs, duration, confidence, prior)
            if duration < crop / 2 or notes.peak == 0:
                # nothing to base a verdict on
                detection = replace(detection, verdict="uncertain")
            return replace(detection, notes=notes.texts())
        raise InputError("recording: has no samples")

    def _answer(
        self, outputs: dict[str, FrameValues], duration: float, confidence: float, prior: float
    ) -> Detection:
        model = self.model
        logits = clip_logits(outputs, model.config.heads.pooling)
        # the threshold was selected for a share of 0.5 fakes
        score = with_prior(model.calibrator.score(logits.clip), prior)
        if not isfinite(score):
            raise InputError(f"{model.name}: its score is not a number; use another checkpoint")
        verdict = decide(score, with_prior(self.clip_threshold, prior), confidence)
        frames = frame_scores(outputs)
        detection = Detection(
            verdict,
            score,
            (),
            duration,
            GRID.step,
            frames,
            prior=prior,
            record=self.record(confidence, prior),
        )
        if verdict == "genuine":
            return detection
        family = attack_families(outputs, model.families)
        kind: Literal["part", "whole"] | None = None
        if logits.part is not None and logits.whole is not None:
            kind = "whole" if logits.whole > logits.part else "part"
        if family is not None:
            limit = model.heads.thresholds.get("energy", np.inf)
            family = replace(family, unknown=family.energy > limit)
        return replace(
            detection,
            regions=find_regions(frames, self.frame_threshold, duration) if frames.size else (),
            attack_family=None if family is None else family.name,
            kind=kind,
        )
