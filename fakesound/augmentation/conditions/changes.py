"""Changes of a clip's sound that leave every sample in its place.

Each takes mono audio, its rate and a generator, and returns audio as long as it was.
"""

import numpy as np
from scipy import signal

from fakesound.attacks import codec
from fakesound.attacks.spectral import Audio

TELEPHONE = 8_000  # Hz
# libsndfile asks for MP3 rates as the place between the highest and the lowest there is, kbit/s
MP3_RANGES = ((12_000, 64, 8), (24_000, 160, 8), (48_000, 320, 32))
OPUS_RANGE = (256, 6)
QUIETER = 0.1  # -20 dB
CLIPPED = 0.03
LEAST_CEILING = 0.1  # of the peak
REVERBERATION_TIME = 0.4  # seconds in which the tail falls by 60 dB
TAIL_START = 0.0025  # seconds behind the direct sound
TAIL_TO_DIRECT = 0.5  # energy of the tail over that of the direct sound: -3 dB


def mp3(audio: Audio, rate: int, rng: np.random.Generator, kbit: int) -> Audio:
    """Return ``audio`` through MPEG layer III at a constant ``kbit`` kbit/s."""
    highest, lowest = next((top, low) for upto, top, low in MP3_RANGES if min(rate, 48_000) <= upto)
    # the very end of the range is refused
    level = min((highest - kbit) / (highest - lowest), 0.999)
    options = {"compression_level": max(level, 0.0), "bitrate_mode": "CONSTANT"}
    return codec.round_trip(audio, rate, rng, "MP3", "MPEG_LAYER_III", options, codec.MP3_RATES)


def opus(audio: Audio, rate: int, rng: np.random.Generator, kbit: int) -> Audio:
    """Return ``audio`` through Opus (RFC 6716) at about ``kbit`` kbit/s, variable."""
    highest, lowest = OPUS_RANGE
    options = {"compression_level": (highest - kbit) / (highest - lowest)}
    return codec.round_trip(audio, rate, rng, "OGG", "OPUS", options, codec.OPUS_RATES)


def gsm(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through GSM 06.10 at 8 kHz, the full-rate codec of mobile telephones."""
    return codec.round_trip(audio, rate, rng, "WAV", "GSM610", rates=(TELEPHONE,))


def resample(audio: Audio, rate: int, _: np.random.Generator) -> Audio:
    """Return ``audio`` sampled at 8 kHz and back, by which it loses what is above 4 kHz."""
    there = signal.resample_poly(audio, TELEPHONE, rate)
    back = signal.resample_poly(there, rate, TELEPHONE)[: len(audio)]
    return np.pad(back, (0, len(audio) - len(back))).astype(np.float32)


def noise(audio: Audio, _: int, rng: np.random.Generator, snr: float) -> Audio:
    """Return ``audio`` with white noise, ``snr`` dB below it in energy over the clip."""
    white = rng.standard_normal(len(audio))
    level = _rms(audio) / max(_rms(white), 1e-9) * 10 ** (-snr / 20)
    return (audio + level * white).astype(np.float32)


def quieter(audio: Audio, _: int, __: np.random.Generator) -> Audio:
    """Return ``audio`` 20 dB quieter."""
    return audio * np.float32(QUIETER)


def clipping(audio: Audio, _: int, __: np.random.Generator) -> Audio:
    """Return ``audio`` with the loudest 3 % of its samples clipped, at its own level.

    Less of it is clipped where that would take more than 20 dB from the peak, as in a clip that is
    nearly all silence.
    """
    magnitude = np.abs(audio)
    ceiling = max(float(np.quantile(magnitude, 1 - CLIPPED)), LEAST_CEILING * magnitude.max())
    return np.clip(audio, -ceiling, ceiling).astype(np.float32)


def reverb(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` in a room of 0.4 s reverberation time, at its own level.

    The room's response is the direct sound and exponentially decaying noise behind it (Polack
    1988), 3 dB weaker, drawn anew for each clip.
    """
    time = np.arange(round(REVERBERATION_TIME * rate)) / rate
    tail = rng.standard_normal(time.size) * 10 ** (-3 * time / REVERBERATION_TIME)
    tail[time < TAIL_START] = 0
    response = tail * np.sqrt(TAIL_TO_DIRECT / np.sum(tail**2))
    response[0] = 1
    heard = signal.fftconvolve(audio, response)[: len(audio)]
    return (heard * _rms(audio) / max(_rms(heard), 1e-9)).astype(np.float32)


def _rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
