"""View of one detection: an interactive waveform with scores, regions and a player."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from jaxtyping import Float, Float32
from matplotlib.image import imsave

from fakesound.report.clip_view import RANGE, Sound, data_uri, highest, loudness, sound_uri
from fakesound.scoring.decision import FakeRegion

PEAKS_PER_SECOND = 200
MOST_PEAKS = 60_000
HEIGHT = 192  # rows of the spectrogram
LEVELS = 24  # shades of the spectrogram; few keep the file small
WAVESURFER = ("wavesurfer", "regions", "timeline")


@dataclass(frozen=True)
class RecordingView:
    """Everything a page shows of one recording.

    Attributes:
        name: file name.
        path: path as given by the user.
        verdict: "fake", "genuine" or "uncertain".
        whole: whether the recording is called fake from start to end.
        score: P(fake) for the assumed share of fakes.
        even_score: P(fake) if half of all recordings are fake.
        facts: name and value of each fact above the waveform.
        notes: properties of the recording that matter for the result.
        regions: regions called fake.
        duration: length in seconds.
        threshold: frame threshold.
        scores: frame scores as bytes, in base64; empty without frames.
        scored: seconds that the scores cover.
        audio: data URI; None if the recording is too long or cannot be read again.
        peaks: amplitudes as bytes, in base64.
        spectrogram: data URI of a picture whose opacity is the power; None without audio.
    """

    name: str
    path: str
    verdict: str
    whole: bool
    score: float
    even_score: float
    facts: Mapping[str, str]
    notes: Sequence[str]
    regions: Sequence[FakeRegion]
    duration: float
    threshold: float
    scores: str
    scored: float
    audio: str | None
    peaks: str
    spectrogram: str | None


def sound_fields(sound: Sound | None) -> dict[str, str | None]:
    """Return ``audio``, ``peaks`` and ``spectrogram`` of a view."""
    if sound is None:
        return {"audio": None, "peaks": "", "spectrogram": None}
    return {
        "audio": sound_uri(sound),
        "peaks": _base64(_peaks(sound)),
        "spectrogram": _spectrogram(sound),
    }


def score_fields(scores: Float32[np.ndarray, " frame"], frame_step: float) -> tuple[str, float]:
    """Return ``scores`` and ``scored`` of a view."""
    values, frames = highest(scores)
    return _base64(_bytes(values)), values.size * frames * frame_step


@cache
def wavesurfer() -> str:
    """Return wavesurfer.js and two of its plugins as the body of one script."""
    folder = files("fakesound.report").joinpath("wavesurfer")
    licence = folder.joinpath("LICENSE").read_text("utf-8")
    parts = [f"/* wavesurfer.js\n{licence}*/"]
    for name, constant in zip(WAVESURFER, ("WaveSurfer", "Regions", "Timeline"), strict=True):
        text = folder.joinpath(f"{name}.esm.js").read_text("utf-8").strip()
        body, _, exported = text.rpartition("export{")
        local = exported.removesuffix(" as default};")
        parts.append(f"const {constant} = (() => {{{body}return {local}}})();")
    return "\n".join(parts)


def _peaks(sound: Sound) -> Float[np.ndarray, " peak"]:
    size = max(sound.rate // PEAKS_PER_SECOND, -(-sound.samples.size // MOST_PEAKS))
    padded = np.pad(np.abs(sound.samples), (0, -sound.samples.size % size))
    peaks = padded.reshape(-1, size).max(1)
    return peaks / max(float(peaks.max()), 1e-6)


def _spectrogram(sound: Sound) -> str:
    level = 1 + np.maximum(loudness(sound)[0], -RANGE) / RANGE
    rows = min(HEIGHT, len(level))
    level = np.maximum.reduceat(level, np.arange(rows) * len(level) // rows)
    shades = np.round(level[::-1] * LEVELS) / LEVELS
    picture = np.zeros((*shades.shape, 4), np.uint8)
    picture[..., 3] = _bytes(shades)
    buffer = io.BytesIO()
    imsave(buffer, picture, format="png")
    return data_uri("image/png", buffer.getvalue())


def _bytes(values: Float[np.ndarray, "..."]) -> np.ndarray:
    return np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)


def _base64(values: np.ndarray) -> str:
    data = values if values.dtype == np.uint8 else _bytes(values)
    return base64.b64encode(data.tobytes()).decode("ascii")
