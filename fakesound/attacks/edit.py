"""Editing attacks: move, mix, stretch or transpose genuine material.

Each returns audio of the same length, any span of which can replace the same span of the original.
"""

import numpy as np
from jaxtyping import Float32
from scipy import signal

from fakesound.attacks.spectral import Audio, Stft

Donor = Float32[np.ndarray, " donor"]
Stretched = Float32[np.ndarray, " stretched"]
# pitch ratios are rounded to fractions with this denominator, which keeps resampling cheap
PITCH_UNIT = 96


def splice(audio: Audio, rate: int, rng: np.random.Generator, donor: Donor) -> Audio:
    """Return ``donor`` from a random start, repeated to the length of ``audio``."""
    start = int(rng.integers(len(donor)))
    return np.resize(np.roll(donor, -start), len(audio))


def copy_move(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` shifted by 20 % to 80 % of its length, with wrap-around."""
    return np.roll(audio, int(rng.uniform(0.2, 0.8) * len(audio)))


def addition(audio: Audio, rate: int, rng: np.random.Generator, donor: Donor) -> Audio:
    """Return ``audio`` with ``donor`` mixed in at a signal-to-noise ratio of -5 to 10 dB."""
    other = splice(audio, rate, rng, donor)
    ratio = 10 ** (-rng.uniform(-5, 10) / 20)
    gain = ratio * np.sqrt((np.mean(audio**2) + 1e-10) / (np.mean(other**2) + 1e-10))
    return audio + np.float32(gain) * other


def pitch_shift(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` 0.5 to 4 semitones higher or lower, by phase vocoder and resampling.

    Flanagan and Golden, Bell System Technical Journal 1966; Laroche and Dolson, IEEE TSAP 1999.
    """
    semitones = rng.uniform(0.5, 4) * rng.choice([-1, 1])
    down = round(PITCH_UNIT * 2 ** (semitones / 12))
    stretched = _phase_vocoder(audio, down / PITCH_UNIT)
    shifted = signal.resample_poly(stretched, PITCH_UNIT, down).astype(np.float32)
    return np.resize(shifted, len(audio))


def time_stretch(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` 10 % to 35 % faster or slower, by WSOLA, cut or repeated to its length.

    Verhelst and Roelands, "An overlap-add technique based on waveform similarity", ICASSP 1993.
    """
    factor = rng.uniform(1.10, 1.35) ** rng.choice([-1, 1])
    hop = rate * 16 // 1000
    return _wsola(audio, factor, size=2 * hop, tolerance=hop // 2)


def _phase_vocoder(audio: Audio, factor: float) -> Stretched:
    """Return ``audio`` ``factor`` times longer at the same pitch."""
    stft = Stft(1024, 256)
    spectrum = stft.forward(audio)
    length = round(len(audio) * factor)
    # the clip starts in the middle of frame 1
    position = (np.arange(stft.frames(length)) - 1) / factor + 1
    position = np.clip(position, 0, len(spectrum) - 1.001)
    index = position.astype(int)
    weight = (position - index)[:, None].astype(np.float32)
    magnitude = np.abs(spectrum)
    magnitude = (1 - weight) * magnitude[index] + weight * magnitude[index + 1]
    angle = np.angle(spectrum)
    expected = 2 * np.pi * stft.hop * np.arange(spectrum.shape[1]) / stft.size
    advance = angle[index + 1] - angle[index] - expected
    advance -= 2 * np.pi * np.round(advance / (2 * np.pi))
    steps = np.vstack((np.zeros(len(expected)), (expected + advance)[:-1]))
    phase = angle[:1] + np.cumsum(steps, axis=0)
    return stft.inverse((magnitude * np.exp(1j * phase)).astype(np.complex64), length)


def _wsola(audio: Audio, factor: float, size: int, tolerance: int) -> Audio:
    """Return the start of ``audio``, ``factor`` times slower, in windows of ``size`` samples."""
    hop = size // 2
    window = np.hanning(size + 1)[:-1].astype(np.float32)
    padded = np.pad(audio, (hop + tolerance, size + 2 * tolerance + hop), mode="wrap")
    output = np.zeros(len(audio) + 2 * size, dtype=np.float32)
    natural = padded[tolerance : tolerance + size]
    for position in range(0, len(audio) + hop, hop):
        target = tolerance + int(position / factor) % max(1, len(audio))
        search = padded[target - tolerance : target + tolerance + size]
        shift = int(np.argmax(np.correlate(search, natural, "valid"))) if position else tolerance
        best = target - tolerance + shift
        output[position : position + size] += window * padded[best : best + size]
        following = min(best + hop, len(padded) - size)
        natural = padded[following : following + size]
    return output[hop : hop + len(audio)]
