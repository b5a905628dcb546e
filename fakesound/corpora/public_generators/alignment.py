"""Where a fake and the recording that it was made of lie in time, found by cross-correlation."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32
from scipy import fft

Audio = Float32[np.ndarray, " sample"]
LONGEST = 0.15
# least correlation at which waveforms, or their envelopes, count as aligned
WAVEFORM, ENVELOPE = 0.5, 0.6
STEP = 0.004


class Alignment(NamedTuple):
    """How late a fake is.

    Attributes:
        lag: seconds; what the twin has at ``t`` the fake has at ``t + lag``.
        correlation: correlation at that lag, of waveforms, or of envelopes where phase was lost.
        phase: whether waveforms correlate.
    """

    lag: float
    correlation: float
    phase: bool


def align(fake: Audio, twin: Audio, rate: int) -> Alignment | None:
    """Return how ``fake`` lies to ``twin``; None if neither waveforms nor envelopes correlate."""
    lag, correlation = _peak(fake, twin, round(LONGEST * rate))
    if correlation >= WAVEFORM:
        return Alignment(lag / rate, correlation, True)
    hop = round(STEP * rate)
    lag, correlation = _peak(_envelope(fake, hop), _envelope(twin, hop), round(LONGEST / STEP))
    if correlation >= ENVELOPE:
        return Alignment(lag * hop / rate, correlation, False)
    return None


def _envelope(audio: Audio, hop: int) -> Audio:
    frames = audio[: len(audio) // hop * hop].reshape(-1, hop)
    level = np.log(np.sqrt(np.mean(frames**2, axis=1)) + 1e-3)
    return (level - level.mean()).astype(np.float32)


def _peak(one: Audio, other: Audio, longest: int) -> tuple[int, float]:
    """Return the lag of ``one`` behind ``other`` at which they correlate most, and how much.

    The correlation is that of the whole signals, whatever their polarity.
    """
    size = fft.next_fast_len(len(one) + len(other), real=True)
    product = fft.irfft(fft.rfft(one, size) * np.conj(fft.rfft(other, size)), size)
    near = np.concatenate((product[-longest:], product[: longest + 1]))
    best = int(np.argmax(np.abs(near)))
    energy = float(np.linalg.norm(one.astype(float)) * np.linalg.norm(other.astype(float)))
    return best - longest, float(np.abs(near[best])) / max(energy, 1e-12)
