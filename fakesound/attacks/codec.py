"""Codec attacks: a clip coded and decoded, back in place to the sample."""

import io

import numpy as np
import pycodec2
import soundfile
from scipy import fft, signal

from fakesound.attacks.spectral import Audio


def mp3(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through MPEG layer III at about 20 to 40 kbit/s (at 16 kHz)."""
    level = float(rng.uniform(0.7, 0.92))
    return _round_trip(
        audio, rate, "MP3", "MPEG_LAYER_III", compression_level=level, bitrate_mode="AVERAGE"
    )


def opus(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through Opus (RFC 6716) at about 7 to 20 kbit/s."""
    return _round_trip(audio, rate, "OGG", "OPUS", compression_level=float(rng.uniform(0.95, 1.0)))


def gsm(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through GSM 06.10, run at the clip's own rate so that its band stays."""
    return _round_trip(audio, rate, "WAV", "GSM610")


def adpcm(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through adaptive differential PCM at 2 to 4 bits a sample."""
    subtype = str(rng.choice(["IMA_ADPCM", "NMS_ADPCM_16", "NMS_ADPCM_24"]))
    return _round_trip(audio, rate, "WAV", subtype)


def codec2(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` with everything below 3.6 kHz through Codec 2 at 700 to 3200 bit/s.

    Codec 2 (Rowe, 2011) codes 8 kHz speech by harmonic sinusoids; the band above stays the clip's
    own, so that the bandwidth does not give the attack away.
    """
    coder = pycodec2.Codec2(int(rng.choice([700, 1300, 1600, 2400, 3200])))
    low = signal.resample_poly(audio, 8000, rate)
    frame = coder.samples_per_frame()
    padded = np.pad(low, (0, -len(low) % frame + 2 * frame))
    pcm = (np.clip(padded, -1, 1) * 32767).astype(np.int16).reshape(-1, frame)
    decoded = np.concatenate([coder.decode(coder.encode(block)) for block in pcm]) / 32768
    decoded = _align(low, decoded.astype(np.float32))
    coded = signal.resample_poly(decoded, rate, 8000)[: len(audio)].astype(np.float32)
    coded = np.pad(coded, (0, len(audio) - len(coded)))
    split = signal.firwin(129, 3600, fs=rate)
    below = signal.fftconvolve(coded, split, mode="same")
    above = audio - signal.fftconvolve(audio, split, mode="same")
    return (below + above).astype(np.float32)


def _round_trip(audio: Audio, rate: int, container: str, subtype: str, **options: object) -> Audio:
    """Return ``audio`` written to and read from memory, delay removed."""
    peak = float(np.max(np.abs(audio), initial=0))
    scale = 0.9 / peak if peak > 0.9 else 1.0
    file = io.BytesIO()
    soundfile.write(
        file, audio * np.float32(scale), rate, format=container, subtype=subtype, **options
    )
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    return _align(audio, decoded / np.float32(scale))


def _align(original: Audio, decoded: Audio, reach: int = 4096) -> Audio:
    """Return ``decoded`` shifted to where it correlates best with ``original``, as long as it."""
    size = fft.next_fast_len(len(original) + len(decoded) + reach)
    product = fft.rfft(decoded, size) * np.conj(fft.rfft(original, size))
    correlation = fft.irfft(product, size)
    lags = np.arange(-reach, reach + 1)
    lag = int(lags[np.argmax(correlation[lags])])
    shifted = decoded[lag:] if lag >= 0 else np.pad(decoded, (-lag, 0))
    return np.pad(shifted[: len(original)], (0, max(0, len(original) - len(shifted))))
