"""What rooms, filters, noise and amplifiers do to a recording.

The convolutive, impulsive and stationary noises of RawBoost (Tak et al., ICASSP 2022) are among
them: a random filter, impulses that follow the signal, coloured noise at a random level.
"""

import numpy as np
from jaxtyping import Float32
from scipy import signal

Audio = Float32[np.ndarray, " sample"]


def invert(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` with its polarity reversed."""
    return np.negative(audio)


def amplify(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` at -12 to 6 dB of its level."""
    return audio * np.float32(10 ** (rng.uniform(-12, 6) / 20))


def equalise(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through a gentle random equaliser, up to 6 dB a band."""
    gains = 10 ** (rng.uniform(-6, 6, 6) / 20)
    taps = signal.firwin2(65, np.linspace(0, 1, 6), gains)
    return signal.fftconvolve(audio, taps, mode="same").astype(np.float32)


def limit_band(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` without what lies above 2.5 kHz to 0.95 of the band.

    Every other time what lies below 30 to 300 Hz goes as well. Cut-offs are even on a logarithmic
    scale, slopes gentle to steep.
    """
    top = np.exp(rng.uniform(np.log(2500), np.log(0.475 * rate)))
    low = rng.uniform(30, 300) if rng.random() < 0.5 else None
    count = int(rng.choice([65, 129, 257]))
    edges = top if low is None else [low, top]
    taps = signal.firwin(count, edges, fs=rate, pass_zero=low is None)
    return signal.fftconvolve(audio, taps, mode="same").astype(np.float32)


def reverberate(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` in a room: the sound itself and a decaying tail 0 to 20 dB below it.

    The tail is white noise that decays by 60 dB in 50 to 400 ms.
    """
    size = int(rng.uniform(0.05, 0.4) * rate)
    tail = rng.standard_normal(size) * np.exp(-np.log(1000) * np.arange(size) / size)
    tail *= 10 ** (-rng.uniform(0, 20) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] += 1
    return signal.fftconvolve(audio, tail)[: len(audio)].astype(np.float32)


def add_noise(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` with blue to brown noise 8 to 50 dB below it."""
    white = rng.standard_normal(len(audio))
    coloured = signal.lfilter([1.0], [1.0, -rng.uniform(-0.5, 0.98)], white)
    ratio = 10 ** (-rng.uniform(8, 50) / 20)
    level = np.sqrt(np.mean(audio**2) + 1e-12) / np.sqrt(np.mean(coloured**2) + 1e-12)
    return (audio + ratio * level * coloured).astype(np.float32)


def add_impulses(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` with 0.1 to 5 % of its samples off by up to 2 to 30 % of themselves."""
    hit = rng.random(len(audio)) < rng.uniform(0.001, 0.05)
    size = rng.uniform(0.02, 0.3) * rng.uniform(-1, 1, len(audio))
    return (audio * (1 + size * hit)).astype(np.float32)


def saturate(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through an amplifier that bends the loudest 0.1 to 5 % of its samples."""
    top = np.quantile(np.abs(audio), rng.uniform(0.95, 0.999))
    if top < 1e-5:
        return audio
    return (top * np.tanh(audio / top)).astype(np.float32)
