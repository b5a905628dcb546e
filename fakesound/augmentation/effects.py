"""Effects of rooms, filters, noise, amplifiers and codecs on a recording.

Every effect takes mono audio, its sample rate and a generator, and does not move audio in time.
Amounts are numbers, or ranges of a uniform draw; the defaults are those of training. They include
the convolutive, impulsive and stationary noises of RawBoost (Tak et al., ICASSP 2022): a random
filter, impulses that follow the signal, and coloured noise at a random level.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Float32
from scipy import signal

from fakesound.attacks.codec import transcode

Audio = Float32[np.ndarray, " sample"]
Effect = Callable[[Audio, int, np.random.Generator], Audio]
Amount = float | tuple[float, float]

# common codecs: share in training, larger for fast codecs, and range of the compression level
CODECS: dict[str, tuple[float, tuple[float, float] | None]] = {
    "mp3": (0.35, (0.3, 0.95)),
    "vorbis": (0.25, (0.3, 1.0)),
    "adpcm": (0.15, None),
    "opus": (0.1, (0.8, 1.0)),
    "ulaw": (0.1, None),
    "gsm": (0.05, None),
}
# libsndfile maps a range of bit rates to the compression level; highest and lowest in kbit/s, for
# MP3 up to a sample rate in Hz
MP3_RANGES = ((12_000, 64, 8), (24_000, 160, 8), (48_000, 320, 32))
OPUS_RANGE = (256, 6)
# band of narrowband telephony in Hz (ITU-T G.712)
TELEPHONE_BAND = (300.0, 3_400.0)


def invert(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Reverse the polarity."""
    return np.negative(audio)


def change_gain(
    audio: Audio, rate: int, rng: np.random.Generator, decibels: Amount = (-12, 6)
) -> Audio:
    """Change the level."""
    return audio * np.float32(10 ** (_draw(rng, decibels) / 20))


def equalise(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Apply a gentle random equaliser, up to 6 dB per band."""
    gains = 10 ** (rng.uniform(-6, 6, 6) / 20)
    return filtered(audio, signal.firwin2(65, np.linspace(0, 1, 6), gains)).astype(np.float32)


def limit_band(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Apply a low-pass above 2.5 kHz or, in half of the cases, a band-pass from 30 to 300 Hz on.

    The upper cut-off is log-uniform up to 0.95 of the band, and the steepness of the slopes varies.
    """
    top = np.exp(rng.uniform(np.log(2500), np.log(0.475 * rate)))
    low = rng.uniform(30, 300) if rng.random() < 0.5 else None
    taps = int(rng.choice([65, 129, 257]))
    return band_limited(audio, rate, low, top, taps).astype(np.float32)


def resample_8k(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Resample to 8 kHz and back, which removes the band above 4 kHz."""
    there = signal.resample_poly(audio, 8_000, rate)
    back = signal.resample_poly(there, rate, 8_000)[: len(audio)]
    return np.pad(back, (0, len(audio) - len(back))).astype(np.float32)


def reverberate(
    audio: Audio,
    rate: int,
    rng: np.random.Generator,
    seconds: Amount = (0.05, 0.4),
    below: Amount = (0, 20),
    gap: float = 0.0,
    keep_level: bool = False,
) -> Audio:
    """Add the reverberant tail of a random room: noise that decays by 60 dB (Polack 1988).

    Args:
        audio: mono audio.
        rate: sample rate in Hz.
        rng: generator of amounts and the tail.
        seconds: reverberation time in seconds.
        below: level of the tail below the direct sound, in dB.
        gap: seconds between direct sound and tail.
        keep_level: whether the result has the level of ``audio``.
    """
    size = int(_draw(rng, seconds) * rate)
    tail = rng.standard_normal(size) * np.exp(-np.log(1000) * np.arange(size) / size)
    tail[np.arange(size) / rate < gap] = 0
    tail *= 10 ** (-_draw(rng, below) / 20) / np.sqrt(np.sum(tail**2))
    tail[0] += 1
    wet = signal.fftconvolve(audio, tail)[: len(audio)]
    if keep_level:
        wet *= _rms(audio) / max(_rms(wet), 1e-9)
    return wet.astype(np.float32)


def add_noise(
    audio: Audio,
    rate: int,
    rng: np.random.Generator,
    snr: Amount = (8, 50),
    colour: Amount | None = (-0.5, 0.98),
) -> Audio:
    """Add noise.

    Args:
        audio: mono audio.
        rate: sample rate in Hz.
        rng: generator of amounts and the noise.
        snr: signal-to-noise ratio over the clip in dB.
        colour: pole of the filter that colours the noise, blue below 0 and brown near 1; None for
            white noise.
    """
    noise = rng.standard_normal(len(audio))
    if colour is not None:
        noise = signal.lfilter([1.0], [1.0, -_draw(rng, colour)], noise)
    level = _rms(audio) / max(_rms(noise), 1e-9) * 10 ** (-_draw(rng, snr) / 20)
    return (audio + level * noise).astype(np.float32)


def add_impulses(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Change 0.1 to 5 % of the samples by up to 2 to 30 % of their values."""
    hit = rng.random(len(audio)) < rng.uniform(0.001, 0.05)
    size = rng.uniform(0.02, 0.3) * rng.uniform(-1, 1, len(audio))
    return (audio * (1 + size * hit)).astype(np.float32)


def saturate(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Saturate the loudest 0.1 to 5 % of the samples, as an amplifier does."""
    top = np.quantile(np.abs(audio), rng.uniform(0.95, 0.999))
    if top < 1e-5:
        return audio
    return (top * np.tanh(audio / top)).astype(np.float32)


def clip_peaks(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Clip the loudest 3 % of the samples, without a change of gain.

    The peak falls by at most 20 dB, a limit for clips that are nearly all silence.
    """
    magnitude = np.abs(audio)
    ceiling = max(float(np.quantile(magnitude, 0.97)), 0.1 * magnitude.max())
    return np.clip(audio, -ceiling, ceiling).astype(np.float32)


def apply_codec(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Encode and decode with one of `CODECS` at random."""
    name = str(rng.choice(list(CODECS), p=[share for share, _ in CODECS.values()]))
    return transcode(audio, rate, rng, name, CODECS[name][1])


def apply_mp3(audio: Audio, rate: int, rng: np.random.Generator, kbit: int) -> Audio:
    """Encode and decode with MPEG layer III at a constant bit rate, in kbit/s."""
    highest, lowest = next((top, low) for upto, top, low in MP3_RANGES if min(rate, 48_000) <= upto)
    # libsndfile refuses the end of the range
    level = min((highest - kbit) / (highest - lowest), 0.999)
    return transcode(audio, rate, rng, "mp3_constant", max(level, 0.0))


def apply_opus(audio: Audio, rate: int, rng: np.random.Generator, kbit: int) -> Audio:
    """Encode and decode with Opus (RFC 6716) at a variable bit rate, in kbit/s on average."""
    highest, lowest = OPUS_RANGE
    return transcode(audio, rate, rng, "opus", (highest - kbit) / (highest - lowest))


def telephone(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Simulate a narrowband telephone line: 8 kHz, G.711 or GSM 06.10, often only 300-3400 Hz."""
    if rng.random() < 0.5:
        audio = band_limited(audio, rate, *TELEPHONE_BAND, taps=257).astype(np.float32)
    return transcode(audio, rate, rng, "gsm_8k" if rng.random() < 0.7 else "g711")


def band_limited(
    audio: Float[np.ndarray, " sample"], rate: int, low: float | None, high: float, taps: int
) -> Float[np.ndarray, " sample"]:
    """Return the band of ``audio`` from ``low`` to ``high`` Hz; None for no lower limit."""
    edges = high if low is None else [low, high]
    return filtered(audio, signal.firwin(taps, edges, fs=rate, pass_zero=low is None))


def filtered(
    audio: Float[np.ndarray, " sample"], taps: Float[np.ndarray, " tap"]
) -> Float[np.ndarray, " sample"]:
    """Apply a symmetric filter without its delay."""
    return np.asarray(signal.fftconvolve(audio, taps, mode="same"))


def _draw(rng: np.random.Generator, amount: Amount) -> float:
    return float(rng.uniform(*amount)) if isinstance(amount, tuple) else amount


def _rms(audio: Float[np.ndarray, " sample"]) -> float:
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))
