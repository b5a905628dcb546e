"""Variations of the fake that is cut into a crop: subtler fakes, and fakes of another channel.

The strongest artefact of an attack is everywhere, and a detector would learn only that one. A blend
of a fake and its original has fewer and weaker artefacts, like self-blended images of faces
(Shiohara and Yamasaki, CVPR 2022). And generated audio has its own bandwidth, colour and noise
floor, unlike the recording around it.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float32
from scipy import fft, ndimage

from fakesound.attacks.spectral import Stft
from fakesound.augmentation import effects
from fakesound.augmentation.effects import Audio, Effect

STFT = Stft(512, 128)

# effects of a recording device
CHANNELS: tuple[Effect, ...] = (
    effects.limit_band,
    effects.equalise,
    effects.add_noise,
    effects.apply_codec,
)

Variation = Callable[[Audio, Audio, int, np.random.Generator], Audio]


def in_band(genuine: Audio, fake: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``fake`` in a band and ``genuine`` outside it.

    The band is below or above an edge of 600 Hz to 0.8 of the bandwidth, or between two edges at
    least an octave apart; transitions are 100 to 400 Hz wide.
    """
    frequencies = fft.rfftfreq(len(fake), 1 / rate)
    low, high = np.log(600), np.log(0.4 * rate)
    kind = int(rng.integers(3))
    edge = float(np.exp(rng.uniform(low, high)))
    if kind == 0:
        share = _rise(frequencies, edge, rng)
    elif kind == 1:
        share = 1 - _rise(frequencies, edge, rng)
    else:
        top = min(edge * 2 ** rng.uniform(1, 2.5), 0.5 * rate)
        share = _rise(frequencies, edge / 2, rng) * (1 - _rise(frequencies, top, rng))
    spectrum = fft.rfft(genuine)
    spectrum += share * (fft.rfft(fake) - spectrum)
    return fft.irfft(spectrum, len(fake)).astype(np.float32)


def diluted(genuine: Audio, fake: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return a mixture of ``fake`` and a share of 0.2 to 0.7 of ``genuine``."""
    share = np.float32(rng.uniform(0.2, 0.7))
    return share * genuine + (1 - share) * fake


def coloured(genuine: Audio, fake: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Apply a band limit, an equaliser or noise to ``fake``, unlike ``genuine``."""
    return recoloured(fake, rate, rng, CHANNELS[:3])


def recoloured(
    audio: Audio, rate: int, rng: np.random.Generator, changes: Sequence[Effect] = CHANNELS
) -> Audio:
    """Apply one of ``changes`` to ``audio``, as if another device had recorded it."""
    return changes[int(rng.integers(len(changes)))](audio, rate, rng)


def smoothed(genuine: Audio, fake: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``fake`` with smoothed magnitudes and the same phases.

    Magnitudes move towards the mean of 3 to 11 bins of 31 Hz, of 3 to 7 frames of 8 ms, or both.
    Models trained with a mean error smooth textures in this way.
    """
    spectrum = STFT.forward(fake)
    magnitude = np.abs(spectrum)
    frames, bins = int(rng.integers(1, 4)), int(rng.integers(1, 6))
    if rng.random() < 0.5:
        frames, bins = (0, bins) if rng.random() < 0.5 else (frames, 0)
    around = ndimage.uniform_filter(magnitude, (2 * frames + 1, 2 * bins + 1))
    gain = (around / np.maximum(magnitude, 1e-6)) ** rng.uniform(0.4, 1)
    return STFT.inverse((spectrum * gain).astype(np.complex64), len(fake))


def cleaned(genuine: Audio, fake: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``fake`` with less background noise.

    Bins near their floor, the tenth percentile over time, are attenuated by 6 to 30 dB. Generators
    learn from clean recordings, so that their output has less noise than a recording.
    """
    spectrum = STFT.forward(fake)
    magnitude = np.abs(spectrum)
    floor = np.quantile(magnitude, 0.1, axis=0) * rng.uniform(1.5, 4)
    least = 10 ** (-rng.uniform(6, 30) / 20)
    gain = np.clip(1 - (floor / np.maximum(magnitude, 1e-6)) ** 2, least, 1)
    return STFT.inverse((spectrum * gain).astype(np.complex64), len(fake))


# names are those of `fakesound.config.FakeAugmentationConfig`
VARIATIONS: dict[str, Variation] = {
    "band": in_band,
    "dilution": diluted,
    "smooth": smoothed,
    "clean": cleaned,
    "colour": coloured,
}


def vary(
    genuine: Audio,
    fake: Audio,
    rate: int,
    rng: np.random.Generator,
    shares: Mapping[str, float],
) -> Audio:
    """Apply random variations to ``fake`` before it is cut into ``genuine``.

    Args:
        genuine: audio of the recording.
        fake: output of an attack on the whole recording, aligned with it.
        rate: sample rate in Hz.
        rng: generator of the choice of variations and of their parameters.
        shares: share of fakes that each variation is applied to, by name.
    """
    for name, variation in VARIATIONS.items():
        # always drawn, so that a share does not change the draws of other variations
        if rng.random() < shares[name]:
            fake = variation(genuine, fake, rate, rng)
    return fake


def _rise(
    frequencies: Float32[np.ndarray, " bin"], edge: float, rng: np.random.Generator
) -> Float32[np.ndarray, " bin"]:
    """Return a ramp from 0 below ``edge`` to 1 above it."""
    width = rng.uniform(100, 400)
    return np.clip((frequencies - edge) / width + 0.5, 0, 1)
