"""Read audio files as mono at one rate: the same samples whole, in windows and in blocks."""

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from math import gcd
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from jaxtyping import Float32, Int16
from scipy import signal

from fakesound.clip import Clip
from fakesound.data.decoding import SequentialFile, decode_blocks, open_decoder, reason
from fakesound.data.location import AnyLocation, parse_location
from fakesound.errors import InputError
from fakesound.files import write_whole

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".caf", ".w64")
FULL_SCALE = 32_768
# a file may be this many seconds off the duration its manifest gives
DURATION_TOLERANCE = 0.025
# libsndfile's remark on a header (WAV, AIFF, AU) that declares more bytes than there are
CUT_SHORT = re.compile(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)")
# programs that write to a pipe declare this many bytes or more: they do not know
UNKNOWN_SIZE = 0x7FFF_0000
CANCELLED = 10 ** (-12 / 10)  # power of the mixed channels against their mean power


@dataclass(frozen=True)
class AudioInfo:
    """The shape of an audio file.

    Attributes:
        samples: length, per channel.
        sample_rate: samples per second.
        channels: number of channels.
    """

    samples: int
    sample_rate: int
    channels: int

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.samples / self.sample_rate


def audio_files(folder: Path) -> list[Path]:
    """Return the audio files under ``folder`` by their suffixes, sorted.

    Hidden files and folders are skipped; linked folders are followed once.
    """
    files = []
    seen = {folder.resolve()}
    for place, folders, names in os.walk(folder, followlinks=True):
        targets = {name: Path(place, name).resolve() for name in sorted(folders) if name[0] != "."}
        folders[:] = [name for name, target in targets.items() if target not in seen]
        seen.update(targets.values())
        files += [
            Path(place, name)
            for name in names
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(files)


def audio_info(path: AnyLocation) -> AudioInfo:
    """Return the shape of the audio file at ``path``, by its header where that is right.

    Raises:
        InputError: if the file is missing, empty or not audio.
    """
    with open_decoder(path) as file:
        return file_info(file)


def file_info(file: SequentialFile) -> AudioInfo:
    """Return the shape of an open file, with the length that its header declares."""
    samples = file.frames
    if cut := CUT_SHORT.search(file.extra_info):
        declared, found = int(cut[1]), int(cut[2])
        # a few missing bytes are padding
        if 0 < found < declared - 64 and declared < UNKNOWN_SIZE:
            samples = samples * declared // found
    return AudioInfo(samples, file.samplerate, file.channels)


def check_audio(clip: Clip, duration: float, sample_rate: int | None = None) -> None:
    """Compare audio with its row.

    Args:
        clip: Row of the audio.
        duration: Length of the audio in seconds.
        sample_rate: Samples per second of the file; None where it was resampled.

    Raises:
        InputError: naming the file, if duration or rate differ.
    """
    if abs(duration - clip.duration) > DURATION_TOLERANCE:
        raise InputError(
            f"{clip.location}: lasts {duration:.3f} s, the manifest says {clip.duration:.3f} s; "
            "correct the row"
        )
    if sample_rate not in (None, clip.sample_rate):
        raise InputError(
            f"{clip.location}: is at {sample_rate} Hz, the manifest says {clip.sample_rate} Hz; "
            "correct the row"
        )


def decode(path: AnyLocation) -> AudioInfo:
    """Decode all audio of a file and return its header.

    Raises:
        InputError: as `read_audio`.
    """
    info = audio_info(path)
    read_audio(path, info.sample_rate)
    return info


def read_audio(
    path: AnyLocation, rate: int, start: int = 0, samples: int | None = None
) -> Float32[np.ndarray, " sample"]:
    """Return ``samples`` samples from ``start`` on, mono at ``rate``; the rest of the file if None.

    ``start`` and ``samples`` count at ``rate``. Channels are averaged, but for those that cancel
    (see `loudest_channel`); other rates are resampled with a polyphase filter.

    Raises:
        InputError: if the file is missing, not audio, holds no samples, NaN or Inf, or is shorter
            than its header declares.
    """
    with open_decoder(path) as file:
        return _read(path, file, rate, start, samples)


def stream_info(source: BinaryIO, name: str) -> AudioInfo:
    """Return the shape of an open audio file; ``name`` is for messages.

    Raises:
        InputError: if it is not audio.
    """
    with open_decoder(name, source.read()) as file:
        return file_info(file)


def decode_audio(source: BinaryIO, name: str, rate: int) -> Float32[np.ndarray, " sample"]:
    """Return the audio in an open file, mono at ``rate``; ``name`` is for messages.

    Raises:
        InputError: as `read_audio`.
    """
    with open_decoder(name, source.read()) as file:
        return _read(name, file, rate, 0, None)


def _read(
    path: AnyLocation, file: SequentialFile, rate: int, start: int, samples: int | None
) -> Float32[np.ndarray, " sample"]:
    info = file_info(file)
    if info.samples == 0:
        raise InputError(f"{path}: holds no samples; replace or remove it")
    first, count = start, samples
    if rate != info.sample_rate:
        first = start * info.sample_rate // rate
        count = None if samples is None else -(-samples * info.sample_rate // rate)
    mono = _read_mono(path, file, info, first, count)
    if rate != info.sample_rate:
        common = gcd(rate, info.sample_rate)
        up, down = rate // common, info.sample_rate // common
        mono = signal.resample_poly(mono, up, down, window=_low_pass(up, down))
    return np.ascontiguousarray(mono[:samples], dtype=np.float32)


def mono_blocks(
    path: AnyLocation, file: SequentialFile, start: int = 0
) -> Iterator[Float32[np.ndarray, " sample"]]:
    """Yield the samples of ``file`` from ``start`` on, mixed to mono, at its own rate.

    Raises:
        InputError: if the file cannot be decoded, or holds NaN or Inf.
    """
    channel = loudest_channel(file)
    try:
        for block in decode_blocks(file, start):
            if not np.isfinite(block).all():
                raise InputError(f"{path}: holds NaN or Inf samples; replace or remove it")
            if channel is not None:
                yield block[:, channel]
            else:
                yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: cannot be decoded ({reason(error)}); replace it") from None


def check_length(path: AnyLocation, info: AudioInfo, decoded: int) -> None:
    """Raise if only ``decoded`` of the samples that the header declares are there.

    Raises:
        InputError: if the file ends early, by more than the frame of a codec.
    """
    if decoded < info.samples - round(DURATION_TOLERANCE * info.sample_rate):
        raise InputError(
            f"{path}: is truncated at {decoded / info.sample_rate:.2f} of {info.duration:.2f} s; "
            "replace it"
        )


def _read_mono(
    path: AnyLocation, file: SequentialFile, info: AudioInfo, start: int, samples: int | None
) -> Float32[np.ndarray, " sample"]:
    parts, decoded = [np.zeros(0, np.float32)], 0
    try:
        for part in mono_blocks(path, file, start):
            parts.append(part if samples is None else part[: samples - decoded])
            decoded += len(parts[-1])
            if samples is not None and decoded >= samples:
                break
        else:
            if start < info.samples:
                check_length(path, info, start + decoded)
        return np.concatenate(parts)
    except MemoryError:
        raise InputError(
            f"{path}: {info.duration:.0f} s of {info.channels} channels do not fit into memory; "
            "cut it into parts"
        ) from None


def loudest_channel(file: SequentialFile) -> int | None:
    """Return the channel to use alone where the mean of the channels would cancel.

    That is where the mean is more than 12 dB below the channels, as in recordings whose channels
    are each other's negative. None where the mean is used.
    """
    if file.channels == 1:
        return None
    if file.location is not None:
        local = parse_location(file.location).local
        stat = None if local is None else local.stat()
        return _loudest_of_file(file.location, stat and (stat.st_size, stat.st_mtime_ns))
    with file.reopen() as again:
        return _loudest(again)


@lru_cache(maxsize=4096)
def _loudest_of_file(location: AnyLocation, state: tuple[int, int] | None) -> int | None:
    del state  # part of the key: another file may have come to the same place
    with open_decoder(location) as file:
        return _loudest(file)


def _loudest(file: SequentialFile) -> int | None:
    energy, mixed = np.zeros(file.channels), 0.0
    for block in decode_blocks(file):
        energy += np.square(block, dtype=np.float64).sum(axis=0)
        mixed += float(np.square(block.mean(axis=1), dtype=np.float64).sum())
    cancelled = energy.mean() > 0 and mixed < CANCELLED * energy.mean()
    return int(energy.argmax()) if cancelled else None


@cache
def _low_pass(up: int, down: int) -> Float32[np.ndarray, " tap"]:
    """Return the filter that scipy designs anew for each call of ``resample_poly``."""
    widest = max(up, down)
    taps = signal.firwin(20 * widest + 1, 1 / widest, window=("kaiser", 5.0))
    return taps.astype(np.float32)


def read_pcm(path: AnyLocation, start: int, samples: int) -> Int16[np.ndarray, " sample"]:
    """Return ``samples`` 16-bit samples from ``start`` on; the rest of the file if -1.

    Those of a mono file of 16-bit PCM are exactly as stored, those of another are converted. What
    is missing at the end is zero, up to what a duration in a manifest may be off.

    Raises:
        InputError: if the file cannot be read or is shorter.
    """
    with open_decoder(path) as file:
        rate, count = file.samplerate, None if samples < 0 else samples
        if (file.channels, file.subtype) == (1, "PCM_16"):
            try:
                file.seek(start)
                pcm = file.read(file.frames - start if count is None else count, dtype="int16")
            except soundfile.LibsndfileError as error:
                raise InputError(
                    f"{path}: cannot be decoded ({reason(error)}); replace it"
                ) from None
        else:
            pcm = to_pcm(_read_mono(path, file, file_info(file), start, count))
    missing = max(0, samples - len(pcm))
    if missing > round(DURATION_TOLERANCE * rate):
        raise InputError(f"{path}: is shorter than expected; replace it or prepare the data again")
    return np.pad(pcm, (0, missing)) if missing else pcm


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
