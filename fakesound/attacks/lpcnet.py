"""LPCNet, a published neural vocoder of speech, where the machine has it: an optional attack."""

import ctypes.util
from functools import cache

import numpy as np
from scipy import signal

from fakesound.attacks.codec import coded_apart, drive, shifted
from fakesound.attacks.spectral import Audio
from fakesound.errors import InputError

FIX = "install Codec 2 1.0 (Debian and Ubuntu: apt install libcodec2-1.0), or leave it out"
RATE = 16_000
# samples that what is decoded comes late, the median over envelopes of 16 prompts
DELAY = 912
# kinds of vector quantiser that need no state of the frame before; 1.7 kbit/s
QUANTISERS = (1, 2)


@cache
def library() -> str:
    """Return the name of the shared library.

    Raises:
        InputError: if the machine has none, or one without LPCNet.
    """
    found = ctypes.util.find_library("codec2")
    for name in ("libcodec2.so.1.0", found):
        try:
            if name and hasattr(ctypes.CDLL(name), "lpcnet_freedv_create"):
                return name
        except OSError:
            continue
    raise InputError(f"codec/lpcnet: this machine has no library with LPCNet; {FIX}")


def lpcnet(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through LPCNet at 1.7 kbit/s: 52 bits of cepstrum and pitch each 30 ms.

    A recurrent network draws each sample from its distribution (Valin and Skoglund, "LPCNet:
    improving neural speech synthesis through linear prediction", ICASSP 2019), with the weights of
    FreeDV in Codec 2 1.0. It knows speech; of other sounds it makes what it can.

    Raises:
        InputError: if the machine has no LPCNet.
    """
    scale = drive(audio, rng)
    there = signal.resample_poly(audio * scale, RATE, rate) if rate != RATE else audio * scale
    # room for the delay at the end
    pcm = np.clip(np.pad(there, (0, DELAY)) * 32_767, -32_768, 32_767).astype(np.int16)
    quantiser = QUANTISERS[int(rng.integers(len(QUANTISERS)))]
    decoded = coded_apart(pcm, "lpcnet_process.py", library(), str(quantiser))
    back = shifted(decoded, DELAY, len(there)) / scale
    if rate != RATE:
        back = signal.resample_poly(back, rate, RATE)
    return shifted(back.astype(np.float32), 0, len(audio))
