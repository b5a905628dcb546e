"""Compare an exported file with its detector."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from fakesound.data.audio import read_audio
from fakesound.data.manifest import Clip
from fakesound.evaluation.scorer import score_clips
from fakesound.inference import Detection, Detector
from fakesound.inference.model import onnx_model, open_session, read_model
from fakesound.metrics import ClipScore
from fakesound.models.detector import Detector as Module
from fakesound.scoring.calibration import IDENTITY, Calibrator
from fakesound.timeline import GRID

TOLERANCE = 1e-4


class DifferenceError(RuntimeError):
    """An exported file and its detector differ."""


def largest_difference(
    onnx: bytes,
    detector: Module,
    rate: int,
    seconds: float,
    calibrator: Calibrator = IDENTITY,
) -> float:
    """Return the largest difference between calibrated scores of ``onnx`` and ``detector``.

    Compared on random audio of different lengths and levels.

    Raises:
        DifferenceError: if it is above `TOLERANCE`.
    """
    session = open_session(onnx)
    differences = []
    with tempfile.TemporaryDirectory() as folder:
        clips = clips_of(_sounds(rate, seconds), rate, Path(folder))
        raw, _ = score_clips(detector, clips, rate, seconds)
        scores = calibrator.apply(raw)
        for clip, expected in zip(clips, scores, strict=True):
            score, _, frames = session.run(None, {"waveform": read_audio(clip.location, rate)})
            differences.append(_difference(score, frames, expected))
    return _checked(max(differences))


def largest_window_difference(onnx: bytes, weights: Path) -> float:
    """Return the largest difference between detections with ``onnx`` and with ``weights``.

    Compared on random audio, as in `largest_difference`.

    Args:
        onnx: bytes of an ONNX file that scores windows.
        weights: file that ``onnx`` was exported from.

    Raises:
        DifferenceError: if a clip or frame score differs by more than `TOLERANCE`.
    """
    exported = Detector(onnx_model(onnx, weights, weights.name))
    original = Detector(read_model(weights, "torch", "cpu"))
    differences = []
    for sound in _sounds(original.rate, original.model.config.data.window_seconds):
        detection, expected = (
            exported.detect(sound, exported.rate),
            original.detect(sound, original.rate),
        )
        score, frames = np.array(detection.score), detection.frame_scores
        differences.append(_difference(score, frames, expected))
    return _checked(max(differences))


def _sounds(rate: int, seconds: float) -> list[np.ndarray]:
    """Return random audio from a third of a window to several windows long."""
    window = GRID.count(seconds) * GRID.samples(rate)
    rng = np.random.default_rng(0)
    return [
        rng.normal(0, level, samples).clip(-1, 1)
        for level, samples in (
            (0.01, window // 3),
            (0.1, window + 1),
            (0.03, 3 * window + 1001),
            (1.0, window),
            (1e-4, window),
        )
    ]


def _checked(difference: float) -> float:
    if difference > TOLERANCE:
        raise DifferenceError(
            f"scores of the ONNX file differ from those of the detector by up to {difference:.1e}, "
            f"more than {TOLERANCE:.0e}; the file was not written"
        )
    return difference


def clips_of(sounds: Sequence[np.ndarray], rate: int, folder: Path) -> list[Clip]:
    """Write ``sounds`` to ``folder`` and return them as clips."""
    clips = []
    for number, sound in enumerate(sounds):
        path = folder / f"{number}.wav"
        soundfile.write(path, sound, rate, subtype="FLOAT")
        duration = len(sound) / rate
        clips.append(
            Clip(str(number), str(path), str(number), "genuine", None, (), duration, rate, "")
        )
    return clips


def _difference(score: np.ndarray, frames: np.ndarray, expected: ClipScore | Detection) -> float:
    if frames.shape != expected.frame_scores.shape:
        return float("inf")
    difference = np.abs(
        np.append(frames, score) - np.append(expected.frame_scores, expected.score)
    ).max()
    return float(difference) if np.isfinite(difference) else float("inf")
