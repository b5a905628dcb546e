"""Separation attacks: attenuate a part of the sound, as if a source were removed.

Each returns aligned audio of the same length, any span of which can replace the same span of the
original.
"""

import numpy as np
from scipy import ndimage

from fakesound.attacks.spectral import Audio, Stft


def harmonic_percussive(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Attenuate the sustained or the transient part by 12 to 40 dB.

    Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010. The kept part
    has at least a tenth of the energy.
    """
    stft = _stft(rate)
    spectrum = stft.forward(audio)
    magnitude = np.abs(spectrum)
    sustained = ndimage.median_filter(magnitude, (17, 1)) ** 2
    transient = ndimage.median_filter(magnitude, (1, 17)) ** 2
    share = sustained / np.maximum(sustained + transient, 1e-12)
    if rng.random() < 0.5:
        share = 1 - share
    if np.sum((share * magnitude) ** 2) < 0.1 * np.sum(magnitude**2):
        share = 1 - share
    rest = 10 ** (-rng.uniform(12, 40) / 20)
    mask = (rest + (1 - rest) * share).astype(np.float32)
    return stft.inverse(spectrum * mask, len(audio))


def spectral_gate(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Subtract the steady background, by at most 15 to 30 dB.

    Spectral subtraction (Boll, IEEE TASSP 1979) of 1.5 to 3 times the background with a floor
    (Berouti, Schwartz and Makhoul, ICASSP 1979); the background is a low quantile of each bin.
    """
    stft = _stft(rate)
    spectrum = stft.forward(audio)
    magnitude = np.abs(spectrum)
    background = np.quantile(magnitude, rng.uniform(0.1, 0.3), axis=0)
    over, floor = rng.uniform(1.5, 3), 10 ** (-rng.uniform(15, 30) / 20)
    gain = np.maximum(1 - over * background / np.maximum(magnitude, 1e-8), floor)
    return stft.inverse(spectrum * gain.astype(np.float32), len(audio))


def _stft(rate: int) -> Stft:
    """Return a transform with windows of about 64 ms."""
    hop = 16 * (rate // 1000)
    return Stft(4 * hop, hop)
