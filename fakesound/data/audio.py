"""Read audio files as mono at one rate, whole or in parts with the same samples; write WAV."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from jaxtyping import Int16

from fakesound.clip import Clip
from fakesound.data.decoding import BLOCK, SequentialFile, decode_blocks, open_decoder
from fakesound.data.location import AnyLocation, file_state
from fakesound.data.notes import Notes
from fakesound.data.resampling import SPAN, Resampler
from fakesound.data.samples import Mixer, Samples, to_pcm
from fakesound.errors import InputError
from fakesound.files import write_whole

# allowed difference between the duration of a file and of its row, in seconds
DURATION_TOLERANCE = 0.025
LOUDEST_FILE = 10.0  # a higher peak means that samples are not scaled to -1 to 1


@dataclass(frozen=True)
class AudioInfo:
    """Length, rate and channels of an audio file.

    Attributes:
        samples: number of samples per channel.
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


def audio_info(path: AnyLocation) -> AudioInfo:
    """Return the length, rate and channels of the audio file at ``path``.

    Raises:
        InputError: if the file is missing, empty or not audio.
    """
    with open_decoder(path) as file:
        return file_info(file)


def file_info(file: SequentialFile) -> AudioInfo:
    """Return the length, rate and channels of an open file.

    The length is the declared one; a file that declares none is decoded to count its samples.
    """
    if file.counted:
        return AudioInfo(file.expected, file.samplerate, file.channels)
    with file.reopen() as again:
        samples = sum(len(block) for block in decode_blocks(again))
    return AudioInfo(samples, file.samplerate, file.channels)


def check_audio(clip: Clip, duration: float, sample_rate: int | None = None) -> None:
    """Check that duration and rate of audio are those of its row.

    Args:
        clip: Row of the audio.
        duration: Length of the audio in seconds.
        sample_rate: Samples per second of the file; None if it was resampled.

    Raises:
        InputError: naming the file, if duration or rate differ.
    """
    if abs(duration - clip.duration) > DURATION_TOLERANCE:
        raise InputError(
            f"{clip.location}: lasts {duration:.3f} s, the manifest has {clip.duration:.3f} s; "
            "correct the row"
        )
    if sample_rate not in (None, clip.sample_rate):
        raise InputError(
            f"{clip.location}: has {sample_rate} Hz, the manifest has {clip.sample_rate} Hz; "
            "correct the row"
        )


def decode(path: AnyLocation) -> AudioInfo:
    """Decode all audio of a file and return its length, rate and channels.

    Raises:
        InputError: as `read_audio`.
    """
    info = audio_info(path)
    read_audio(path, info.sample_rate)
    return info


def read_audio(path: AnyLocation, rate: int, start: int = 0, samples: int | None = None) -> Samples:
    """Return ``samples`` samples from ``start`` on, mono at ``rate``; the rest of the file if None.

    ``start`` and ``samples`` count at ``rate``. Channels are averaged unless they cancel
    (see `fakesound.data.samples.Mixer`). Other rates are resampled with a polyphase filter, and
    samples are clipped to [-1, 1].

    Raises:
        InputError: if the file is missing, not audio or empty, holds NaN or Inf, or is shorter than
            its header declares.
    """
    with open_decoder(path) as file:
        return _joined(path, file, rate, start, samples)


def stream_audio(
    path: AnyLocation,
    rate: int,
    notes: Notes | None = None,
    channel: int | None = None,
    content: bytes | None = None,
) -> Iterator[Samples]:
    """Yield the audio that `read_audio` returns, in parts.

    Args:
        path: location of the file.
        rate: sample rate to return in Hz.
        notes: notes to add to; complete after the last part.
        channel: channel to read, from 0; the mean of all if None.
        content: bytes of a file in memory; ``path`` then only names it in messages.

    Raises:
        InputError: as `read_audio`, and for a channel that the file does not have.
    """
    with open_decoder(path, content) as file:
        yield from _parts(path, file, rate, 0, notes, channel)


def stream_info(source: BinaryIO, name: str) -> AudioInfo:
    """Return the length, rate and channels of an open audio file.

    Raises:
        InputError: naming ``name``, if the content is not audio.
    """
    with open_decoder(name, source.read()) as file:
        return file_info(file)


def decode_audio(source: BinaryIO, name: str, rate: int) -> Samples:
    """Return the audio of an open file, mono at ``rate``.

    Raises:
        InputError: naming ``name``, as `read_audio`.
    """
    with open_decoder(name, source.read()) as file:
        return _joined(name, file, rate, 0, None)


def _joined(
    path: AnyLocation, file: SequentialFile, rate: int, start: int, samples: int | None
) -> Samples:
    parts, count = [np.zeros(0, np.float32)], 0
    # a short window needs only a few more samples, for the filter of the resampler
    block = BLOCK if samples is None else min(BLOCK, samples * file.samplerate // rate + 2 * SPAN)
    try:
        for part in _parts(path, file, rate, start, block=block):
            parts.append(part if samples is None else part[: samples - count])
            count += len(parts[-1])
            if count == samples:
                break
        return np.ascontiguousarray(np.concatenate(parts))
    except MemoryError:
        raise InputError(
            f"{path}: {file_info(file).duration:.0f} s of {file.channels} channels do not fit into "
            "memory; cut it into parts"
        ) from None


def _parts(
    path: AnyLocation,
    file: SequentialFile,
    rate: int,
    start: int = 0,
    notes: Notes | None = None,
    channel: int | None = None,
    block: int = BLOCK,
) -> Iterator[Samples]:
    info = file_info(file)
    if info.samples == 0:
        raise InputError(f"{path}: holds no samples; replace or remove it")
    resampler = Resampler(info.sample_rate, rate, start)
    decoded = resampler.begin
    for part in _mono_blocks(path, file, decoded, block, notes, channel):
        decoded += len(part)
        yield np.clip(resampler.push(part), -1, 1)
    if resampler.begin < info.samples:
        _check_length(path, info, decoded)
    if notes is not None:
        file.describe(notes, decoded)
        notes.resampled(info.sample_rate, rate)
    yield np.clip(resampler.finish(), -1, 1)


def _mono_blocks(
    path: AnyLocation,
    file: SequentialFile,
    start: int,
    size: int,
    notes: Notes | None = None,
    channel: int | None = None,
) -> Iterator[Samples]:
    """Yield the samples of ``file`` from ``start`` on, mono at the rate of the file."""
    if channel is not None and not 0 <= channel < file.channels:
        plural = "s" * (file.channels > 1)
        raise InputError(f"{path}: has {file.channels} channel{plural}, no channel {channel + 1}")
    if channel is None and file.channels > 1:
        mixer = _mixer(file)
        channel = mixer.loudest
        if notes is not None:
            notes.mixed(mixer)
    for block in decode_blocks(file, start, size):
        if not np.isfinite(block).all():
            raise InputError(f"{path}: holds NaN or Inf samples; replace or remove it")
        peak = float(np.abs(block).max(initial=0))
        if peak > LOUDEST_FILE:
            raise InputError(
                f"{path}: its samples reach {peak:.4g}, not -1 to 1; divide them by their full "
                "scale, such as 32768"
            )
        if notes is not None:
            notes.add(block if channel is None else block[:, channel])
        if channel is not None:
            yield block[:, channel]
        else:
            yield block[:, 0] if block.shape[1] == 1 else block.mean(axis=1)


def _check_length(path: AnyLocation, info: AudioInfo, decoded: int) -> None:
    """Check that the ``decoded`` samples are as many as the header declares.

    Raises:
        InputError: if the file ends early by more than a codec frame.
    """
    if decoded < info.samples - round(DURATION_TOLERANCE * info.sample_rate):
        raise InputError(
            f"{path}: is truncated at {decoded / info.sample_rate:.2f} of {info.duration:.2f} s; "
            "replace it"
        )


def _mixer(file: SequentialFile) -> Mixer:
    """Return the power of the channels and of their mean over the whole file."""
    if file.location is not None:
        return _mixer_of_file(file.location, file_state(file.location))
    with file.reopen() as again:
        return _mixed(again)


@lru_cache(maxsize=4096)
def _mixer_of_file(location: AnyLocation, state: tuple[int, int] | None) -> Mixer:
    del state  # only a key of the cache: the file may have been replaced
    with open_decoder(location) as file:
        return _mixed(file)


def _mixed(file: SequentialFile) -> Mixer:
    mixer = Mixer(file.channels)
    for block in decode_blocks(file):
        mixer.add(block)
    return mixer


def read_pcm(path: AnyLocation, start: int, samples: int) -> Int16[np.ndarray, " sample"]:
    """Return ``samples`` 16-bit samples from ``start`` on; the rest of the file if -1.

    Samples of a mono 16-bit PCM file are returned as stored, others are converted. Up to
    `DURATION_TOLERANCE` seconds missing at the end are filled with zeros.

    Raises:
        InputError: if the file cannot be read or is shorter.
    """
    with open_decoder(path) as file:
        rate, count = file.samplerate, None if samples < 0 else samples
        if (file.channels, file.subtype) == (1, "PCM_16") and file.counted:
            file.seek(start)
            pcm = file.read(file.frames - start if count is None else count, dtype="int16")
        else:
            pcm = to_pcm(_joined(path, file, rate, start, count))
    missing = max(0, samples - len(pcm))
    if missing > round(DURATION_TOLERANCE * rate):
        raise InputError(f"{path}: is shorter than expected; replace it or prepare the data again")
    return np.pad(pcm, (0, missing)) if missing else pcm


def write_wav(path: Path, pcm: Int16[np.ndarray, " sample"], rate: int) -> None:
    """Write 16-bit mono WAV to ``path``, which is complete or absent."""
    # in memory first, since libsndfile does not report a full disk as such
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, rate, subtype="PCM_16", format="WAV")
    write_whole(path, buffer.getvalue(), durable=False)
