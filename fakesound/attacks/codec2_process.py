"""Run Codec 2 in a process of its own, from 16-bit samples at 8 kHz on stdin to stdout.

The library draws the phases of unvoiced sound from one generator for the whole process, which
cannot be reset: only a new process gives the same audio for the same input.
`fakesound.attacks.codec` runs this file; its argument is the mode in bit/s.
"""

import sys

import numpy as np
import pycodec2


def main() -> None:
    """Encode and decode the samples on stdin, which must be whole frames."""
    coder = pycodec2.Codec2(int(sys.argv[1]))
    pcm = np.frombuffer(sys.stdin.buffer.read(), dtype=np.int16)
    for frame in pcm.reshape(-1, coder.samples_per_frame()):
        sys.stdout.buffer.write(coder.decode(coder.encode(frame)).tobytes())


if __name__ == "__main__":
    main()
