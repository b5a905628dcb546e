"""Resample audio in parts of any length, in constant memory and with the same result."""

from collections.abc import Iterable, Iterator
from functools import cache
from math import gcd

import numpy as np
from jaxtyping import Float, Float32

Samples = Float32[np.ndarray, " sample"]

# half the length of the filter of `scipy.signal.resample_poly`, in samples of the lower rate
REACH = 10
SPAN = 16_384  # approximate number of samples that are resampled at a time
LARGEST = 2**22  # largest number of weights in a matrix; only unusual rates need more


class Resampler:
    """Resample audio in parts, as `scipy.signal.resample_poly` resamples the whole.

    The output does not depend on the lengths of the parts or on their start: the input is always
    divided into the same spans, each with the context that the filter needs.

    Args:
        rate: rate of the input in Hz.
        target_rate: rate of the output in Hz.
        first: first sample of the output to return.
    """

    def __init__(self, rate: int, target_rate: int, first: int = 0) -> None:
        common = gcd(rate, target_rate)
        self.up, self.down = target_rate // common, rate // common
        # a whole number of samples at both rates
        self.span = -(-SPAN // self.down) * self.down
        reach = -(-REACH * max(self.up, self.down) // self.up) + 1
        self.beside = -(-reach // self.down) * self.down
        self.buffer = np.zeros(0, np.float32)
        at = first * self.down // self.up // self.span * self.span
        self.start = min(self.beside, at)  # number of buffered samples that are only context
        self.begin = first if self.up == self.down else at - self.start
        self.skipped = 0 if self.up == self.down else first - at * self.up // self.down

    def push(self, part: Samples) -> Samples:
        """Return the output that is complete after ``part``; the first part starts at `begin`."""
        if self.up == self.down:
            return part
        self.buffer = np.concatenate((self.buffer, part))
        output = []
        while len(self.buffer) >= self.start + self.span + self.beside:
            output.append(
                self._resampled(self.buffer[: self.start + self.span + self.beside], True)
            )
            after = self.start + self.span
            context = min(self.beside, after)
            self.buffer, self.start = self.buffer[after - context :], context
        return np.concatenate(output) if output else np.zeros(0, np.float32)

    def finish(self) -> Samples:
        """Return the rest of the output after the last part."""
        if self.up == self.down or len(self.buffer) <= self.start:
            return np.zeros(0, np.float32)
        return self._resampled(self.buffer, False)

    def _resampled(self, whole: Samples, inner: bool) -> Samples:
        output = _resampled_poly(whole, self.up, self.down)
        first = self.start * self.up // self.down
        span = self.span if inner else len(whole) - self.start
        output = output[first : first + -(-span * self.up // self.down)]
        skipped = min(self.skipped, len(output))
        self.skipped -= skipped
        return np.asarray(output[skipped:], dtype=np.float32)


def resampled(parts: Iterable[Samples], rate: int, target_rate: int) -> Iterator[Samples]:
    """Yield ``parts`` at another rate, clipped to [-1, 1], which the filter may exceed."""
    resampler = Resampler(rate, target_rate)
    for part in parts:
        yield np.clip(resampler.push(part), -1, 1)
    yield np.clip(resampler.finish(), -1, 1)


def _resampled_poly(audio: Samples, up: int, down: int) -> Samples:
    """Return the result of `scipy.signal.resample_poly`, computed by one matrix product.

    Every ``down`` samples of the input give ``up`` samples of the output, with the same weights.
    scipy.signal is avoided because its import takes longer than scoring a short recording.
    """
    if up * down > LARGEST:
        from scipy import signal

        return signal.resample_poly(audio, up, down)
    periods, before, weights = _polyphase(up, down)
    span, width = periods * down, len(weights)
    count = -(-len(audio) * up // down)
    rows = -(-count // (periods * up))
    padded = np.zeros((rows - 1) * span + width, np.float32)
    part = audio[: len(padded) - before]
    padded[before : before + len(part)] = part
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)[::span]
    return (windows @ weights).reshape(-1)[:count]


@cache
def _polyphase(up: int, down: int) -> tuple[int, int, Float32[np.ndarray, "input output"]]:
    """Return the weights of input samples for several periods of the output.

    Returns:
        Number of periods, number of input samples before them, and the weights.
    """
    taps = _low_pass(up, down)
    half = len(taps) // 2
    # a matrix of few periods would be too narrow to be fast
    periods = -(-64 // up)
    before = -(-half // up)
    inputs = np.arange(-before, (periods * up - 1) * down // up + before + 1)
    indices = np.arange(periods * up) * down + half - inputs[:, None] * up
    inside = (indices >= 0) & (indices < len(taps))
    weights = np.where(inside, up * taps[np.clip(indices, 0, len(taps) - 1)], 0)
    return periods, before, weights.astype(np.float32)


@cache
def _low_pass(up: int, down: int) -> Float[np.ndarray, " tap"]:
    """Return the filter of `scipy.signal.resample_poly`: a sinc with a Kaiser window."""
    widest = max(up, down)
    time = np.arange(-10 * widest, 10 * widest + 1)
    taps = np.sinc(time / widest) * np.kaiser(len(time), 5.0)
    return taps / taps.sum()
