"""What a published fake and its genuine partner are put through, so that only the maker differs.

Pages present what they publish in their own way: fakes at another level, through another filter,
with digital silence. None of that is evidence, and a model takes all of it for some.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from scipy import signal

from fakesound.augmentation.channel import Audio

# both are brought to this root mean square of their active samples
LEVEL = 10 ** (-26 / 20)
# most that spectral alignment changes a band
LARGEST_DB = 8.0
TAPS = 257
LOWEST_BAND = 100.0


def launder(
    fake: Audio, genuine: Audio, rate: int, rng: np.random.Generator, shares: Mapping[str, float]
) -> tuple[Audio, Audio]:
    """Return ``fake`` and ``genuine`` alike in offset, level, bandwidth and noise floor.

    Args:
        fake: fake throughout.
        genuine: its partner, of the same length.
        rate: samples a second.
        rng: draws what is done.
        shares: of pairs that are aligned in spectrum ("align", see `aligned`) and that are limited
            to a lower band than the narrower of the two has ("band").
    """
    pair = [part - part.mean() for part in (fake, genuine)]
    # drawn even if never used, so that one share does not move the draws of the others
    align, lower, swap = rng.random(3)
    top = min(bandwidth(part, rate) for part in pair)
    if lower < shares["band"]:
        top = min(top, float(np.exp(rng.uniform(np.log(3_000), np.log(0.5 * rate)))))
    if align < shares["align"]:
        moved = int(swap < 0.5)
        pair[moved] = aligned(pair[moved], pair[1 - moved], rate)
    if LOWEST_BAND < top < 0.46 * rate:
        taps = signal.firwin(TAPS, top, fs=rate)
        pair = [signal.oaconvolve(part, taps, mode="same") for part in pair]
    floor = 10 ** (rng.uniform(-90, -70) / 20)
    levelled = [LEVEL / active_level(part, rate) * part for part in pair]
    fake, genuine = (
        (part + floor * (rng.random(len(part)) - rng.random(len(part)))).astype(np.float32)
        for part in levelled
    )
    return fake, genuine


def aligned(audio: Audio, other: Audio, rate: int) -> Float[np.ndarray, " sample"]:
    """Return ``audio`` with the long-term spectrum of ``other``, third octave by third octave.

    The filter is smooth and changes no band by more than 8 dB, so fine structure stays.
    """
    centres = LOWEST_BAND * 2 ** (np.arange(0, 30) / 3)
    centres = centres[centres < 0.45 * rate]
    frequencies = np.fft.rfftfreq(1024, 1 / rate)
    levels = []
    for part in (audio, other):
        power = _long_term(part, 1024)
        octaves = np.log2(np.maximum(frequencies, 1)[:, None] / centres)
        weight = np.maximum(0, 1 - 3 * np.abs(octaves) / 2)
        levels.append(10 * np.log10((power @ weight) / weight.sum(0) + 1e-14))
    gain = levels[1] - levels[0]
    gain = np.clip(gain - np.median(gain), -LARGEST_DB, LARGEST_DB)
    edges = np.concatenate(([0], centres, [0.5 * rate]))
    shape = 10 ** (np.concatenate(([gain[0]], gain, [gain[-1]])) / 20)
    taps = signal.firwin2(TAPS, edges, shape, fs=rate)
    return signal.oaconvolve(audio, taps, mode="same")


def bandwidth(audio: Audio, rate: int) -> float:
    """Return the frequency, in Hz, below which 99.9 % of the power lies."""
    power = np.cumsum(_long_term(audio, 1024))
    return float(np.searchsorted(power, 0.999 * power[-1]) * rate / 1024)


def active_level(audio: Audio, rate: int) -> float:
    """Return the root mean square of the 10 ms frames within 40 dB of the loudest."""
    size = min(rate // 100, len(audio))
    frames = audio[: len(audio) // size * size].reshape(-1, size)
    power = np.mean(frames**2, axis=1)
    return float(np.sqrt(np.mean(power[power >= 1e-4 * power.max()])) + 1e-6)


def _long_term(audio: Audio, size: int) -> Float[np.ndarray, " bin"]:
    """Return the mean power spectrum over windows of ``size`` samples."""
    if len(audio) < size:
        audio = np.pad(audio, (0, size - len(audio)))
    frames = np.lib.stride_tricks.sliding_window_view(audio, size)[:: size // 2]
    return np.mean(np.abs(np.fft.rfft(frames * np.hanning(size), axis=1)) ** 2, axis=0)
