"""The one way audio is read: soundfile, mixed to mono, at one rate."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from math import gcd
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from jaxtyping import Float32, Int16
from scipy import signal

from fakesound.data.places import AudioPath, open_audio
from fakesound.errors import InputError
from fakesound.files import write_whole

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64")
FULL_SCALE = 32_768
# samples a second that recorders and converters have; a header that says other is damaged
RATES = (1_000, 400_000)
# a file may be this many seconds off the duration its manifest gives
DURATION_TOLERANCE = 0.025
# how libsndfile says that a header (WAV, AIFF, AU) declares more bytes than there are
CUT_SHORT = re.compile(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)")
# programs that write to a pipe declare this many bytes or more: they do not know
UNKNOWN_SIZE = 0x7FFF_0000


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


def audio_info(path: AudioPath) -> AudioInfo:
    """Return what the header of the audio file at ``path`` says.

    Raises:
        InputError: if the file is missing, empty or not audio.
    """
    with _source(path) as source:
        return _info(path, source)


def _info(path: AudioPath | str, source: Path | BinaryIO) -> AudioInfo:
    if isinstance(path, Path):
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: is empty (0 bytes); replace or remove it")
    try:
        info = soundfile.info(source)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: cannot be read as audio ({reason(error)}); replace it") from None
    if not RATES[0] <= info.samplerate <= RATES[1]:
        raise InputError(
            f"{path}: its header says {info.samplerate} Hz, which nothing records at; replace it"
        )
    samples = info.frames
    if cut := CUT_SHORT.search(info.extra_info):
        declared, found = int(cut[1]), int(cut[2])
        # a few bytes amiss are a matter of padding
        if 0 < found < declared - 64 and declared < UNKNOWN_SIZE:
            samples = samples * declared // found
    return AudioInfo(samples, info.samplerate, info.channels)


@contextmanager
def _source(path: AudioPath) -> Iterator[Path | BinaryIO]:
    """Yield what libsndfile reads: a path, or the bytes of what is no file of its own."""
    if isinstance(path, Path):
        yield path
    else:
        with open_audio(path) as file:
            yield file


def read_audio(
    path: AudioPath, rate: int, start: int = 0, samples: int | None = None
) -> Float32[np.ndarray, " sample"]:
    """Return ``samples`` samples from ``start`` on, mono at ``rate``; the rest of the file if None.

    ``start`` and ``samples`` count at ``rate``. Channels are averaged; other rates are resampled
    with a polyphase filter.

    Raises:
        InputError: if the file is missing, not audio, holds no samples, NaN or Inf, or is shorter
            than its header says.
    """
    with _source(path) as source:
        return _read_audio(path, source, rate, start, samples)


def stream_info(source: BinaryIO, name: str) -> AudioInfo:
    """Return what the header of an open audio file says; ``name`` is for messages.

    Raises:
        InputError: if it is not audio.
    """
    found = _info(name, source)
    source.seek(0)
    return found


def decode_audio(source: BinaryIO, name: str, rate: int) -> Float32[np.ndarray, " sample"]:
    """Return the audio in an open file, mono at ``rate``; ``name`` is for messages.

    Raises:
        InputError: as `read_audio`.
    """
    return _read_audio(name, source, rate, 0, None)


def _read_audio(
    path: AudioPath | str, source: Path | BinaryIO, rate: int, start: int, samples: int | None
) -> Float32[np.ndarray, " sample"]:
    info = _info(path, source)
    if info.samples == 0:
        raise InputError(f"{path}: holds no samples; replace or remove it")
    if rate == info.sample_rate:
        first, count = start, -1 if samples is None else samples
    else:
        first = start * info.sample_rate // rate
        count = -1 if samples is None else -(-samples * info.sample_rate // rate)
    _rewind(source)
    try:
        audio, _ = soundfile.read(source, count, first, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: cannot be decoded ({reason(error)}); replace it") from None
    except (MemoryError, ValueError):  # from numpy, of an array of that size
        raise InputError(
            f"{path}: its header says {info.duration:.0f} s of {info.channels} channels, which do "
            "not fit into memory; replace it"
        ) from None
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
        up, down = rate // common, info.sample_rate // common
        mono = signal.resample_poly(mono, up, down, window=_low_pass(up, down))
    return np.ascontiguousarray(mono[:samples], dtype=np.float32)


@cache
def _low_pass(up: int, down: int) -> Float32[np.ndarray, " tap"]:
    """Return the filter that scipy designs anew for each call of ``resample_poly``."""
    widest = max(up, down)
    taps = signal.firwin(20 * widest + 1, 1 / widest, window=("kaiser", 5.0))
    return taps.astype(np.float32)


def read_pcm(path: AudioPath, start: int, samples: int) -> Int16[np.ndarray, " sample"]:
    """Return ``samples`` 16-bit samples from ``start`` on; the rest of the file if -1.

    Those of a mono file of 16-bit PCM are exactly as stored, those of another are converted. What
    is missing at the end is zero, up to what a duration in a manifest may be off.

    Raises:
        InputError: if the file cannot be read or is shorter.
    """
    with _source(path) as source:
        try:
            with soundfile.SoundFile(source) as file:
                rate = file.samplerate
                if as_stored := (file.channels, file.subtype) == (1, "PCM_16"):
                    file.seek(start)
                    pcm = file.read(samples, dtype="int16")
        except (soundfile.LibsndfileError, OSError) as error:
            raise InputError(f"{path}: cannot be decoded ({reason(error)}); replace it") from None
        if not as_stored:
            _rewind(source)
            count = None if samples < 0 else samples
            pcm = to_pcm(_read_audio(path, source, rate, start, count))
    missing = max(0, samples - len(pcm))
    if missing > round(DURATION_TOLERANCE * rate):
        raise InputError(f"{path}: is shorter than expected; replace it or prepare the data again")
    return np.pad(pcm, (0, missing)) if missing else pcm


def _rewind(source: Path | BinaryIO) -> None:
    if not isinstance(source, Path):
        source.seek(0)


def to_pcm(audio: Float32[np.ndarray, " sample"]) -> Int16[np.ndarray, " sample"]:
    """Return ``audio`` in [-1, 1) as 16-bit samples, rounded and clipped."""
    return np.clip(np.round(audio * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def from_pcm(pcm: Int16[np.ndarray, " sample"]) -> Float32[np.ndarray, " sample"]:
    """Return 16-bit samples as floats in [-1, 1)."""
    return pcm.astype(np.float32) / np.float32(FULL_SCALE)


def write_wav(path: Path, pcm: Int16[np.ndarray, " sample"], rate: int) -> None:
    """Write 16-bit mono WAV to ``path`` at once: the file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # in memory first: libsndfile does not tell a full disk from other trouble
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate, subtype="PCM_16", format="WAV")
    write_whole(path, buffer.getvalue(), durable=False)


def reason(error: Exception) -> str:
    """Return what libsndfile says is wrong, in a few words."""
    text = str(getattr(error, "error_string", error)).strip().rstrip(".")
    return text or type(error).__name__
