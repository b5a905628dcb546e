"""The one way audio is read: soundfile, mixed to mono, at one rate."""

from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32, Int16
from scipy import signal

from fakesound.errors import InputError

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64")
FULL_SCALE = 32_768


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says.

    Attributes:
        samples: length, per channel.
        sample_rate: samples a second.
        channels: number of channels.
    """

    samples: int
    sample_rate: int
    channels: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate


def audio_info(path: Path) -> AudioInfo:
    """Return what the header of the audio file at ``path`` says.

    Raises:
        InputError: if the file is missing, empty or not audio.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: is empty (0 bytes); replace or remove it")
    try:
        info = soundfile.info(path)
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"{path}: cannot be read as audio ({_reason(error)}); replace it"
        ) from None
    return AudioInfo(info.frames, info.samplerate, info.channels)


def read_audio(
    path: Path, rate: int, start: int = 0, samples: int | None = None
) -> Float32[np.ndarray, " sample"]:
    """Return ``samples`` samples from ``start`` on, mono at ``rate``; the rest of the file if None.

    ``start`` and ``samples`` count at ``rate``. Channels are averaged; other rates are resampled
    with a polyphase filter.

    Raises:
        InputError: if the file is missing, not audio, holds no samples, NaN or Inf, or is shorter
            than its header says.
    """
    info = audio_info(path)
    if info.samples == 0:
        raise InputError(f"{path}: holds no samples; replace or remove it")
    if rate == info.sample_rate:
        first, count = start, -1 if samples is None else samples
    else:
        first = start * info.sample_rate // rate
        count = -1 if samples is None else -(-samples * info.sample_rate // rate)
    try:
        audio, _ = soundfile.read(path, count, first, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: cannot be decoded ({_reason(error)}); replace it") from None
    expected = max(0, info.samples - first)
    if len(audio) < (expected if count < 0 else min(count, expected)):
        found = (first + len(audio)) / info.sample_rate
        raise InputError(
            f"{path}: is truncated at {found:.2f} of {info.duration:.2f} s; replace it"
        )
    if not np.isfinite(audio).all():
        raise InputError(f"{path}: holds NaN or Inf samples; replace or remove it")
    mono = audio[:, 0] if audio.shape[1] == 1 else audio.mean(axis=1)
    if rate != info.sample_rate:
        common = gcd(rate, info.sample_rate)
        mono = signal.resample_poly(mono, rate // common, info.sample_rate // common)
    return np.ascontiguousarray(mono[:samples], dtype=np.float32)


def read_pcm(path: Path, start: int, samples: int) -> Int16[np.ndarray, " sample"]:
    """Return 16-bit samples exactly as stored in a mono file of 16-bit PCM.

    Raises:
        InputError: if the file cannot be read or is shorter.
    """
    try:
        pcm, _ = soundfile.read(path, samples, start, dtype="int16")
    except (soundfile.LibsndfileError, OSError) as error:
        raise InputError(f"{path}: cannot be decoded ({_reason(error)}); replace it") from None
    if pcm.ndim != 1 or len(pcm) < samples:
        raise InputError(f"{path}: shorter than expected or not mono; prepare the data again")
    return pcm


def to_pcm(audio: Float32[np.ndarray, " sample"]) -> Int16[np.ndarray, " sample"]:
    """Return ``audio`` in [-1, 1) as 16-bit samples, rounded and clipped."""
    return np.clip(np.round(audio * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def from_pcm(pcm: Int16[np.ndarray, " sample"]) -> Float32[np.ndarray, " sample"]:
    """Return 16-bit samples as floats in [-1, 1)."""
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)


def write_wav(path: Path, pcm: Int16[np.ndarray, " sample"], rate: int) -> None:
    """Write 16-bit mono WAV to ``path`` at once: the file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")
    soundfile.write(temporary, pcm, rate, subtype="PCM_16", format="WAV")
    temporary.replace(path)


def _reason(error: Exception) -> str:
    text = str(getattr(error, "error_string", error)).strip().rstrip(".")
    return text or type(error).__name__
