"""Run LPCNet in a process of its own, from 16-bit samples at 16 kHz on stdin to stdout.

The library uses the C library's random generator, which has one state for the process: only a new
process gives the same audio for the same input. `fakesound.attacks.lpcnet` runs this file; its
arguments are the library and the kind of quantiser.
"""

import ctypes
import sys

import numpy as np


def main() -> None:
    """Encode and decode the samples on stdin, frame by frame."""
    library = ctypes.CDLL(sys.argv[1])
    library.lpcnet_freedv_create.restype = ctypes.c_void_p
    library.lpcnet_freedv_create.argtypes = [ctypes.c_int]
    for name in ("lpcnet_bits_per_frame", "lpcnet_samples_per_frame"):
        getattr(library, name).argtypes = [ctypes.c_void_p]
    for name in ("lpcnet_enc", "lpcnet_dec"):
        getattr(library, name).argtypes = [ctypes.c_void_p] * 3
    coder = library.lpcnet_freedv_create(int(sys.argv[2]))
    size = library.lpcnet_samples_per_frame(coder)
    # one byte for each bit
    bits = np.zeros(library.lpcnet_bits_per_frame(coder), np.uint8)
    pcm = np.frombuffer(sys.stdin.buffer.read(), dtype=np.int16)
    decoded = np.zeros(-(-len(pcm) // size) * size, np.int16)
    padded = np.zeros_like(decoded)
    padded[: len(pcm)] = pcm
    for start in range(0, len(padded), size):
        library.lpcnet_enc(coder, padded[start:].ctypes.data, bits.ctypes.data)
        library.lpcnet_dec(coder, bits.ctypes.data, decoded[start:].ctypes.data)
    sys.stdout.buffer.write(decoded.tobytes())


if __name__ == "__main__":
    main()
