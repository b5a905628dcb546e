"""What a lossy codec does to a recording, as a matter of course and not to deceive.

Rates are those of everyday files, mostly higher than those of the attacks ``codec/*``. Heard alike
on genuine and fake, a codec is no evidence; a region that alone went through one still is.
"""

import numpy as np

from fakesound.attacks import codec
from fakesound.augmentation.channel import Audio

# quick ones more often: a training step waits for them
CODECS = {"mp3": 0.35, "vorbis": 0.25, "adpcm": 0.15, "opus": 0.1, "ulaw": 0.1, "gsm": 0.05}


def code(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through one of `CODECS` at a random rate, in place to the sample."""
    name = str(rng.choice(list(CODECS), p=list(CODECS.values())))
    return coded(name, audio, rate, rng)


def coded(name: str, audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through the codec called ``name``, one of `CODECS`."""
    if name == "adpcm":
        return codec.adpcm(audio, rate, rng)
    if name == "gsm":
        return codec.gsm(audio, rate, rng)
    if name == "ulaw":
        return codec.round_trip(audio, rate, rng, "WAV", "ULAW")
    options: dict[str, object]
    if name == "vorbis":
        options = {"compression_level": float(rng.uniform(0.3, 1.0))}
        return codec.round_trip(audio, rate, rng, "OGG", "VORBIS", options)
    if name == "opus":
        options = {"compression_level": float(rng.uniform(0.8, 1.0))}
        return codec.round_trip(audio, rate, rng, "OGG", "OPUS", options, codec.OPUS_RATES)
    options = {"compression_level": float(rng.uniform(0.3, 0.95)), "bitrate_mode": "AVERAGE"}
    return codec.round_trip(audio, rate, rng, "MP3", "MPEG_LAYER_III", options, codec.MP3_RATES)
