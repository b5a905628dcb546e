"""Augmentation of training crops, applied alike to genuine and fake audio.

Every change here keeps time as it is, so labels stay where they are.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32
from scipy import signal

Audio = Float32[np.ndarray, " sample"]


@dataclass(frozen=True)
class Augmentation:
    """Shares of crops that each change is applied to.

    Attributes:
        gain: level by -12 to 6 dB.
        invert: polarity.
        noise: white to brown noise at 15 to 45 dB signal-to-noise ratio.
        tilt: a random gentle equaliser, up to 6 dB a band.
    """

    gain: float = 0.8
    invert: float = 0.5
    noise: float = 0.3
    tilt: float = 0.3


def augment(
    audio: Audio, held: int, rate: int, settings: Augmentation, rng: np.random.Generator
) -> Audio:
    """Return ``audio`` changed at random; the padding after ``held`` samples stays zero."""
    made = audio[:held].copy()
    if rng.random() < settings.invert:
        np.negative(made, out=made)
    if rng.random() < settings.tilt:
        made = _equalise(made, rng)
    if rng.random() < settings.noise:
        made = made + _noise(made, rng)
    if rng.random() < settings.gain:
        made *= np.float32(10 ** (rng.uniform(-12, 6) / 20))
    whole = np.zeros_like(audio)
    np.clip(made, -1, 1, out=whole[:held])
    return whole


def _equalise(audio: Audio, rng: np.random.Generator) -> Audio:
    gains = 10 ** (rng.uniform(-6, 6, 6) / 20)
    taps = signal.firwin2(65, np.linspace(0, 1, 6), gains)
    return signal.fftconvolve(audio, taps, mode="same").astype(np.float32)


def _noise(audio: Audio, rng: np.random.Generator) -> Audio:
    white = rng.standard_normal(len(audio))
    coloured = signal.lfilter([1.0], [1.0, -rng.uniform(0, 0.98)], white)
    ratio = 10 ** (-rng.uniform(15, 45) / 20)
    level = np.sqrt(np.mean(audio**2) + 1e-12) / np.sqrt(np.mean(coloured**2) + 1e-12)
    return (ratio * level * coloured).astype(np.float32)
