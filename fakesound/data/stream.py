"""Audio in parts, for recordings of any length at constant memory."""

from collections.abc import Iterable, Iterator
from math import gcd
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from scipy import signal

from fakesound.data.audio import check_length, file_info, mono_blocks
from fakesound.data.decoding import open_decoder
from fakesound.errors import InputError

Samples = Float32[np.ndarray, " sample"]

# half the length of the filter of `scipy.signal.resample_poly`, in samples of the lower rate
REACH = 10


class Resampler:
    """Brings audio that comes in parts to another rate, as `scipy.signal.resample_poly` the whole.

    What comes out does not depend on how the parts were cut: whole spans of the input are always
    taken at the same places, with as much beside them as the filter reaches.

    Args:
        given: samples a second that come in.
        wanted: samples a second that go out.
        span: samples that are resampled at a time, about.
    """

    def __init__(self, given: int, wanted: int, span: int = 65_536) -> None:
        common = gcd(given, wanted)
        self.up, self.down = wanted // common, given // common
        # whole numbers of input and output samples both
        self.span = -(-span // self.down) * self.down
        reach = -(-REACH * max(self.up, self.down) // self.up) + 1
        self.beside = -(-reach // self.down) * self.down
        self.held = np.zeros(0, np.float32)
        self.start = 0  # place of the first held sample that is not context, from that of all held
        self.total = 0

    def push(self, part: Samples) -> Samples:
        """Return what is known of the output after ``part``."""
        if self.up == self.down:
            return part
        self.total += len(part)
        self.held = np.concatenate((self.held, part))
        made = []
        while len(self.held) >= self.start + self.span + self.beside:
            whole = self.held[: self.start + self.span + self.beside]
            made.append(self._resampled(whole, self.span))
            after = self.start + self.span
            kept = min(self.beside, after)
            self.held, self.start = self.held[after - kept :], kept
        return np.concatenate(made) if made else np.zeros(0, np.float32)

    def finish(self) -> Samples:
        """Return the rest of the output, after the last part."""
        if self.up == self.down or len(self.held) == self.start:
            return np.zeros(0, np.float32)
        return self._resampled(self.held, len(self.held) - self.start)

    def _resampled(self, whole: Samples, span: int) -> Samples:
        made = signal.resample_poly(whole, self.up, self.down)
        first = self.start * self.up // self.down
        count = -(-span * self.up // self.down)
        return np.asarray(made[first : first + count], dtype=np.float32)


def stream_audio(path: Path, rate: int) -> Iterator[Samples]:
    """Yield the audio of a file in parts, mono at ``rate``; together what `read_audio` gives.

    Raises:
        InputError: if the file is missing, not audio, holds no samples, NaN or Inf, or is shorter
            than its header says.
    """
    with open_decoder(path) as file:
        info = file_info(file)
        if info.samples == 0:
            raise InputError(f"{path}: holds no samples; replace or remove it")
        resampler, decoded = Resampler(info.sample_rate, rate), 0
        for part in mono_blocks(path, file):
            decoded += len(part)
            yield resampler.push(part)
    check_length(path, info, decoded)
    yield resampler.finish()


def resampled(parts: Iterable[Samples], given: int, wanted: int) -> Iterator[Samples]:
    """Yield ``parts`` at another rate."""
    resampler = Resampler(given, wanted)
    for part in parts:
        yield resampler.push(part)
    yield resampler.finish()
