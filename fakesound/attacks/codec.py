"""Codec attacks: encode and decode a clip, and keep it aligned to the sample."""

import io
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from jaxtyping import Float32, Int16
from scipy import fft, signal

from fakesound.attacks.spectral import Audio

Decoded = Float32[np.ndarray, " decoded"]

MP3_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)


@dataclass(frozen=True)
class Codec:
    """A codec of libsndfile.

    Attributes:
        container: format of the file.
        subtypes: variants, one of which is drawn.
        rates: supported sample rates in Hz, ascending; the first that is not below the rate of
            the audio is used, or else the last. Empty for any rate.
        options: further options of `soundfile.write`.
    """

    container: str
    subtypes: tuple[str, ...]
    rates: tuple[int, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)


CODECS = {
    "mp3": Codec("MP3", ("MPEG_LAYER_III",), MP3_RATES, {"bitrate_mode": "AVERAGE"}),
    "mp3_constant": Codec("MP3", ("MPEG_LAYER_III",), MP3_RATES, {"bitrate_mode": "CONSTANT"}),
    "opus": Codec("OGG", ("OPUS",), OPUS_RATES),
    "vorbis": Codec("OGG", ("VORBIS",)),
    "gsm": Codec("WAV", ("GSM610",)),
    "gsm_8k": Codec("WAV", ("GSM610",), (8_000,)),
    "adpcm": Codec("WAV", ("IMA_ADPCM", "NMS_ADPCM_16", "NMS_ADPCM_24")),
    "ulaw": Codec("WAV", ("ULAW",)),
    "g711": Codec("WAV", ("ULAW", "ALAW"), (8_000,)),
}
# delay of Codec 2 in samples at 8 kHz by mode in bit/s, measured on the envelopes of bursts
CODEC2_DELAY = {700: 240, 1300: 160, 1600: 160, 2400: 192, 3200: 160}
# largest delay of a codec in samples
REACH = 4096
CODEC2_FRAME = 320  # a whole number of frames in every mode


def mp3(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Encode and decode with MPEG layer III at about 20 to 55 kbit/s (at 16 kHz)."""
    return transcode(audio, rate, rng, "mp3", (0.7, 0.92))


def opus(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Encode and decode with Opus (RFC 6716) at about 7 to 20 kbit/s."""
    return transcode(audio, rate, rng, "opus", (0.95, 1.0))


def gsm(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Encode and decode with GSM 06.10, run at the rate of the clip so that it keeps its band."""
    return transcode(audio, rate, rng, "gsm")


def adpcm(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Encode and decode with adaptive differential PCM at 2 to 4 bits a sample."""
    return transcode(audio, rate, rng, "adpcm")


def codec2(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Encode and decode the band below 3.6 kHz with Codec 2 at 700 to 3200 bit/s.

    Codec 2 (Rowe, 2011) codes 8 kHz speech by harmonic sinusoids and keeps envelopes, not
    waveforms. The band above is not changed, so that the bandwidth does not reveal the attack.
    """
    mode = int(rng.choice(list(CODEC2_DELAY)))
    scale = drive(audio, rng)
    low = signal.resample_poly(audio * scale, 8000, rate)
    # the end leaves room for the delay
    padded = np.pad(low, (0, -len(low) % CODEC2_FRAME + CODEC2_FRAME))
    pcm = (np.clip(padded, -1, 1) * 32_767).astype(np.int16)
    decoded = run_codec_process(pcm, "codec2_process.py", str(mode))
    placed = shifted(decoded, CODEC2_DELAY[mode], len(low))
    coded = signal.resample_poly(placed / scale, rate, 8000)[: len(audio)]
    split = signal.firwin(129, 3600, fs=rate)
    below = signal.fftconvolve(coded, split, mode="same")
    above = audio - signal.fftconvolve(audio, split, mode="same")
    return (below + above).astype(np.float32)


def run_codec_process(pcm: Int16[np.ndarray, " sample"], script: str, *arguments: str) -> Decoded:
    """Encode and decode 16-bit samples in a new process that runs ``script`` of this folder.

    Some codec libraries have global state, which only a new process resets.
    """
    done = subprocess.run(
        [sys.executable, "-P", str(Path(__file__).with_name(script)), *arguments],
        input=pcm.tobytes(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return np.frombuffer(done.stdout, dtype=np.int16).astype(np.float32) / 32_768


def transcode(
    audio: Audio,
    rate: int,
    rng: np.random.Generator,
    name: str,
    compression: tuple[float, float] | float | None = None,
) -> Audio:
    """Encode and decode ``audio``; the result is aligned to the sample and keeps the level.

    Args:
        audio: mono audio; it is encoded at -6 to 0 dB of its level.
        rate: sample rate in Hz.
        rng: generator of the variant, the compression and the level.
        name: one of `CODECS`.
        compression: level of compression from 0 to 1, or a range to draw it from; None for a codec
            with a fixed bit rate.
    """
    codec = CODECS[name]
    subtype = codec.subtypes[0] if len(codec.subtypes) == 1 else str(rng.choice(codec.subtypes))
    options = dict(codec.options)
    if compression is not None:
        if isinstance(compression, tuple):
            compression = float(rng.uniform(*compression))
        options["compression_level"] = compression
    rates = codec.rates or (rate,)
    coding = next((other for other in rates if other >= rate), rates[-1])
    if coding == rate:
        return _decoded(audio, rate, rng, codec.container, subtype, options)
    resampled = signal.resample_poly(audio, coding, rate).astype(np.float32)
    coded = _decoded(resampled, coding, rng, codec.container, subtype, options)
    restored = signal.resample_poly(coded, rate, coding).astype(np.float32)
    return shifted(restored, 0, len(audio))


def _decoded(
    audio: Audio,
    rate: int,
    rng: np.random.Generator,
    container: str,
    subtype: str,
    options: Mapping[str, object],
) -> Audio:
    """Write ``audio`` to a file in memory, read it and remove the delay of the codec."""
    scale = drive(audio, rng)
    file = io.BytesIO()
    soundfile.write(file, audio * scale, rate, format=container, subtype=subtype, **options)
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    return _align(audio, decoded / scale)


def drive(audio: Audio, rng: np.random.Generator) -> np.float32:
    """Draw a factor of -6 to 0 dB, lower if ``audio`` would nearly clip."""
    peak = float(np.max(np.abs(audio), initial=0))
    return np.float32(min(rng.uniform(0.5, 1.0), 0.9 / max(peak, 1e-9)))


def _align(original: Audio, decoded: Decoded) -> Audio:
    """Return ``decoded`` without the delay of the codec, as long as ``original``.

    The delay has the highest correlation of the two. It is ignored if the correlation without delay
    is about as high, since steady or very quiet sounds do not reveal the delay.
    """
    size = fft.next_fast_len(len(original) + len(decoded) + REACH)
    product = fft.rfft(decoded, size) * np.conj(fft.rfft(original, size))
    correlation = fft.irfft(product, size)
    lags = np.arange(-REACH, REACH + 1)
    lag = int(lags[np.argmax(correlation[lags])])
    alike = 0.3 * float(np.linalg.norm(original) * np.linalg.norm(decoded))
    if correlation[lag] <= max(alike, correlation[0] / 0.98):
        lag = 0
    return shifted(decoded, lag, len(original))


def shifted(decoded: Decoded, lag: int, length: int) -> Float32[np.ndarray, " length"]:
    """Return ``length`` samples of ``decoded`` from ``lag`` on, padded with zeros."""
    part = decoded[lag:] if lag >= 0 else np.pad(decoded, (-lag, 0))
    return np.pad(part[:length], (0, max(0, length - len(part))))
