"""Laundering of a published fake and its genuine partner, so that only the generator differs.

Each page processes its audio in its own way: fakes may have another level, another filter or
digital silence. None of this is evidence of a fake, but a model would learn all of it.
"""

from collections.abc import Mapping
from functools import cache, lru_cache

import numpy as np
from jaxtyping import Float
from scipy import fft, signal

from fakesound.augmentation.effects import Audio

# root mean square of the active frames of both clips
LEVEL = 10 ** (-26 / 20)
# largest change of a band by spectral alignment, in dB
LARGEST_DB = 8.0
TAPS = 257
LOWEST_BAND = 100.0
# window length of long-term spectra
SIZE = 1024
WINDOW = np.hanning(SIZE).astype(np.float32)


def launder(
    fake: Audio, genuine: Audio, rate: int, rng: np.random.Generator, shares: Mapping[str, float]
) -> tuple[Audio, Audio]:
    """Bring ``fake`` and ``genuine`` to the same offset, level, bandwidth and noise floor.

    Args:
        fake: audio that is fake throughout.
        genuine: audio of its partner, of the same length.
        rate: sample rate in Hz.
        rng: generator of all draws.
        shares: share of pairs with aligned spectra ("align", see `aligning_filter`), and of pairs
            limited to a narrower band than either clip has ("band").
    """
    pair = [part - part.mean() for part in (fake, genuine)]
    spectra = [_long_term(part) for part in pair]
    # always drawn, so that a share does not change the other draws
    align, lower, swap = rng.random(3)
    top = min(bandwidth(spectrum, rate) for spectrum in spectra)
    if lower < shares["band"]:
        top = min(top, float(np.exp(rng.uniform(np.log(3_000), np.log(0.5 * rate)))))
    if align < shares["align"]:
        moved = int(swap < 0.5)
        taps = aligning_filter(spectra[moved], spectra[1 - moved], rate)
        pair[moved] = signal.oaconvolve(pair[moved], taps, mode="same")
    if LOWEST_BAND < top < 0.46 * rate:
        taps = _low_pass(round(top, -1), rate)
        pair = [signal.oaconvolve(part, taps, mode="same") for part in pair]
    floor = 10 ** (rng.uniform(-90, -70) / 20)
    levelled = [LEVEL / active_level(part, rate) * part for part in pair]
    fake, genuine = (
        (part + floor * (rng.random(len(part)) - rng.random(len(part)))).astype(np.float32)
        for part in levelled
    )
    return fake, genuine


def aligning_filter(
    spectrum: Float[np.ndarray, " bin"], other: Float[np.ndarray, " bin"], rate: int
) -> Float[np.ndarray, " tap"]:
    """Return the filter that brings one long-term power spectrum to another, in third octaves.

    It is smooth and changes no band by more than 8 dB, so that fine structure is kept.
    """
    centres, weights = _third_octaves(rate)
    one, two = (10 * np.log10(power @ weights + 1e-14) for power in (spectrum, other))
    gain = two - one
    gain = np.clip(gain - np.median(gain), -LARGEST_DB, LARGEST_DB)
    edges = np.concatenate(([0], centres, [0.5 * rate]))
    shape = 10 ** (np.concatenate(([gain[0]], gain, [gain[-1]])) / 20)
    return np.asarray(signal.firwin2(TAPS, edges, shape, nfreqs=513, fs=rate))


def bandwidth(spectrum: Float[np.ndarray, " bin"], rate: int) -> float:
    """Return the frequency in Hz below which 99.9 % of the power lies."""
    power = np.cumsum(spectrum)
    return float(np.searchsorted(power, 0.999 * power[-1]) * rate / SIZE)


def active_level(audio: Audio, rate: int) -> float:
    """Return the root mean square of the 10 ms frames within 40 dB of the loudest."""
    size = min(rate // 100, len(audio))
    frames = audio[: len(audio) // size * size].reshape(-1, size)
    power = np.mean(frames**2, axis=1)
    return float(np.sqrt(np.mean(power[power >= 1e-4 * power.max()])) + 1e-6)


def _long_term(audio: Audio) -> Float[np.ndarray, " bin"]:
    """Return the mean power spectrum of windows that overlap by half."""
    if len(audio) < SIZE:
        audio = np.pad(audio, (0, SIZE - len(audio)))
    frames = np.lib.stride_tricks.sliding_window_view(audio, SIZE)[:: SIZE // 2]
    spectra = fft.rfft(frames * WINDOW, axis=1)
    return np.mean(spectra.real**2 + spectra.imag**2, axis=0)


@cache
def _third_octaves(
    rate: int,
) -> tuple[Float[np.ndarray, " band"], Float[np.ndarray, "bin band"]]:
    """Return the centres of third octaves, and the weights of bins, which sum to 1 in a band."""
    centres = LOWEST_BAND * 2 ** (np.arange(30) / 3)
    centres = centres[centres < 0.45 * rate]
    octaves = np.log2(np.maximum(np.fft.rfftfreq(SIZE, 1 / rate), 1)[:, None] / centres)
    weights = np.maximum(0, 1 - 1.5 * np.abs(octaves))
    return centres, weights / weights.sum(0)


@lru_cache(1024)
def _low_pass(top: float, rate: int) -> Float[np.ndarray, " tap"]:
    return np.asarray(signal.firwin(TAPS, top, fs=rate))
