"""Time alignment of a fake and the recording it was made from, by cross-correlation."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from scipy import fft

Audio = Float32[np.ndarray, " sample"]
# largest lag and step of the envelopes, in seconds
LARGEST_LAG, STEP = 0.15, 0.004
# lowest correlation at which waveforms, or their envelopes, count as aligned
WAVEFORM, ENVELOPE = 0.5, 0.6


class Alignment(NamedTuple):
    """Delay of a fake against its twin.

    Attributes:
        lag: delay of the fake in seconds; time ``t`` of the twin is ``t + lag`` of the fake.
        correlation: correlation at that lag, of waveforms or of envelopes.
        phase: whether the waveforms correlate, not only the envelopes.
    """

    lag: float
    correlation: float
    phase: bool


def align(fake: Audio, twin: Audio, rate: int) -> Alignment | None:
    """Return the delay of ``fake``; None if neither waveforms nor envelopes correlate."""
    lag, correlation = _peak(fake, twin, round(LARGEST_LAG * rate))
    if correlation >= WAVEFORM:
        return Alignment(lag / rate, correlation, True)
    hop = round(STEP * rate)
    lag, correlation = _peak(_envelope(fake, hop), _envelope(twin, hop), round(LARGEST_LAG / STEP))
    if correlation >= ENVELOPE:
        return Alignment(lag * hop / rate, correlation, False)
    return None


def _envelope(audio: Audio, hop: int) -> Audio:
    frames = audio[: len(audio) // hop * hop].reshape(-1, hop)
    level = np.log(np.sqrt(np.mean(frames**2, axis=1)) + 1e-3)
    return (level - level.mean()).astype(np.float32)


def _peak(one: Audio, other: Audio, longest: int) -> tuple[int, float]:
    """Return the lag of ``one`` behind ``other`` with the highest correlation, and its value.

    The correlation is normalised by the energy of the whole signals and ignores polarity.
    """
    size = fft.next_fast_len(len(one) + len(other), real=True)
    product = fft.irfft(fft.rfft(one, size) * np.conj(fft.rfft(other, size)), size)
    near = np.concatenate((product[-longest:], product[: longest + 1]))
    best = int(np.argmax(np.abs(near)))
    energy = float(np.linalg.norm(one.astype(float)) * np.linalg.norm(other.astype(float)))
    return best - longest, float(np.abs(near[best])) / max(energy, 1e-12)
