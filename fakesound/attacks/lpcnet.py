"""LPCNet, a published neural vocoder of speech, from a library of the system: optional attack."""

import ctypes.util
from functools import cache

import numpy as np
from scipy import signal

from fakesound.attacks.codec import drive, run_codec_process, shifted
from fakesound.attacks.spectral import Audio
from fakesound.errors import InputError

FIX = "install Codec 2 1.0 (Debian and Ubuntu: apt install libcodec2-1.0), or leave it out"
RATE = 16_000
# delay of the codec in samples, the median over the envelopes of 16 prompts
DELAY = 912
# vector quantisers that do not depend on the previous frame; 1.7 kbit/s
QUANTISERS = (1, 2)


@cache
def library() -> str:
    """Return the name of the shared library.

    Raises:
        InputError: if the machine has none, or one without LPCNet.
    """
    library_name = ctypes.util.find_library("codec2")
    for name in ("libcodec2.so.1.0", library_name):
        try:
            if name and hasattr(ctypes.CDLL(name), "lpcnet_freedv_create"):
                return name
        except OSError:
            continue
    raise InputError(f"codec/lpcnet: this machine has no library with LPCNet; {FIX}")


def lpcnet(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Encode and decode with LPCNet at 1.7 kbit/s: 52 bits of cepstrum and pitch each 30 ms.

    A recurrent network draws each sample from its distribution (Valin and Skoglund, "LPCNet:
    improving neural speech synthesis through linear prediction", ICASSP 2019), with the weights of
    FreeDV in Codec 2 1.0. It was trained on speech only.

    Raises:
        InputError: if the machine has no LPCNet.
    """
    scale = drive(audio, rng)
    resampled = signal.resample_poly(audio * scale, RATE, rate) if rate != RATE else audio * scale
    # the end leaves room for the delay
    pcm = np.clip(np.pad(resampled, (0, DELAY)) * 32_767, -32_768, 32_767).astype(np.int16)
    quantiser = QUANTISERS[int(rng.integers(len(QUANTISERS)))]
    decoded = run_codec_process(pcm, "lpcnet_process.py", library(), str(quantiser))
    restored = shifted(decoded, DELAY, len(resampled)) / scale
    if rate != RATE:
        restored = signal.resample_poly(restored, rate, RATE)
    return shifted(restored.astype(np.float32), 0, len(audio))
