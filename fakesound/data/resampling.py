"""Resample audio in parts, at constant memory: the same samples however it is cut."""

from collections.abc import Iterable, Iterator
from functools import cache
from math import gcd

import numpy as np
from jaxtyping import Float, Float32

Samples = Float32[np.ndarray, " sample"]

# half the length of the filter of `scipy.signal.resample_poly`, in samples of the lower rate
REACH = 10
SPAN = 16_384  # samples that are resampled at a time, about
LARGEST = 2**22  # weights of a matrix; rates that no recorder has need more


class Resampler:
    """Resample audio that comes in parts as `scipy.signal.resample_poly` resamples the whole.

    The output does not depend on how the parts were cut, nor on where they begin: whole spans of
    the input are always taken at the same places, with as much beside them as the filter reaches.

    Args:
        given: rate of the input in Hz.
        wanted: rate of the output in Hz.
        first: first sample of the output to return.
    """

    def __init__(self, given: int, wanted: int, first: int = 0) -> None:
        common = gcd(given, wanted)
        self.up, self.down = wanted // common, given // common
        # whole numbers of input and output samples both
        self.span = -(-SPAN // self.down) * self.down
        reach = -(-REACH * max(self.up, self.down) // self.up) + 1
        self.beside = -(-reach // self.down) * self.down
        self.held = np.zeros(0, np.float32)
        at = first * self.down // self.up // self.span * self.span
        self.start = min(self.beside, at)  # held samples that are only context
        self.begin = first if self.up == self.down else at - self.start
        self.skipped = 0 if self.up == self.down else first - at * self.up // self.down

    def push(self, part: Samples) -> Samples:
        """Return the output that is known after ``part``; the first part is from `begin` on."""
        if self.up == self.down:
            return part
        self.held = np.concatenate((self.held, part))
        made = []
        while len(self.held) >= self.start + self.span + self.beside:
            made.append(self._resampled(self.held[: self.start + self.span + self.beside], True))
            after = self.start + self.span
            kept = min(self.beside, after)
            self.held, self.start = self.held[after - kept :], kept
        return np.concatenate(made) if made else np.zeros(0, np.float32)

    def finish(self) -> Samples:
        """Return the rest of the output, after the last part."""
        if self.up == self.down or len(self.held) <= self.start:
            return np.zeros(0, np.float32)
        return self._resampled(self.held, False)

    def _resampled(self, whole: Samples, inner: bool) -> Samples:
        made = _resampled_poly(whole, self.up, self.down)
        first = self.start * self.up // self.down
        span = self.span if inner else len(whole) - self.start
        made = made[first : first + -(-span * self.up // self.down)]
        skipped = min(self.skipped, len(made))
        self.skipped -= skipped
        return np.asarray(made[skipped:], dtype=np.float32)


def resampled(parts: Iterable[Samples], given: int, wanted: int) -> Iterator[Samples]:
    """Yield ``parts`` at another rate, clipped to [-1, 1]: the filter may pass full scale."""
    resampler = Resampler(given, wanted)
    for part in parts:
        yield np.clip(resampler.push(part), -1, 1)
    yield np.clip(resampler.finish(), -1, 1)


def _resampled_poly(audio: Samples, up: int, down: int) -> Samples:
    """Return ``audio`` resampled as by `scipy.signal.resample_poly`, by one matrix product.

    Every ``down`` samples of the input give ``up`` samples of the output, with the same weights.
    Importing scipy.signal takes longer than scoring a short recording does.
    """
    if up * down > LARGEST:
        from scipy import signal

        return signal.resample_poly(audio, up, down)
    periods, before, weights = _polyphase(up, down)
    span, width = periods * down, len(weights)
    count = -(-len(audio) * up // down)
    rows = -(-count // (periods * up))
    padded = np.zeros((rows - 1) * span + width, np.float32)
    held = audio[: len(padded) - before]
    padded[before : before + len(held)] = held
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)[::span]
    return (windows @ weights).reshape(-1)[:count]


@cache
def _polyphase(up: int, down: int) -> tuple[int, int, Float32[np.ndarray, "input output"]]:
    """Return the weights of some input samples for some whole periods of the output.

    Returns:
        Periods of the output; input samples before those of the periods; and the weights.
    """
    taps = _low_pass(up, down)
    half = len(taps) // 2
    # few periods make a matrix too thin to be fast
    periods = -(-64 // up)
    before = -(-half // up)
    inputs = np.arange(-before, (periods * up - 1) * down // up + before + 1)
    places = np.arange(periods * up) * down + half - inputs[:, None] * up
    inside = (places >= 0) & (places < len(taps))
    weights = np.where(inside, up * taps[np.clip(places, 0, len(taps) - 1)], 0)
    return periods, before, weights.astype(np.float32)


@cache
def _low_pass(up: int, down: int) -> Float[np.ndarray, " tap"]:
    """Return the filter of `scipy.signal.resample_poly`: a sinc in a Kaiser window."""
    widest = max(up, down)
    time = np.arange(-10 * widest, 10 * widest + 1)
    taps = np.sinc(time / widest) * np.kaiser(len(time), 5.0)
    return taps / taps.sum()
