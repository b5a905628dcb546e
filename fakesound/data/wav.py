"""Find WAV files that hold more samples than their header declares."""

import io
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

from fakesound.data.samples import RATES

MARKS = (b"RIFF", b"RF64", b"BW64")
MAX_CHANNELS = 1024  # limit of libsndfile
SUBTYPES = {(1, 8): "PCM_U8", (1, 16): "PCM_16", (1, 24): "PCM_24", (1, 32): "PCM_32",
            (3, 32): "FLOAT", (3, 64): "DOUBLE", (6, 8): "ALAW", (7, 8): "ULAW"}  # fmt: skip


class Whole(NamedTuple):
    """All samples of a WAV file that declares too few.

    Attributes:
        head: corrected header; empty if libsndfile opens the samples without one.
        start: first byte of the samples in the file.
        options: options with which libsndfile opens samples without a header.
        seconds: length in seconds that the header declares; None if it declares none.
    """

    head: bytes
    start: int
    options: Mapping[str, Any]
    seconds: float | None


def longer_than_declared(file: BinaryIO) -> Whole | None:
    """Return all samples of a WAV file that declares too few; None for other files.

    The declared length is right if the file ends there or only chunks follow.
    """
    end = file.seek(0, io.SEEK_END)
    position, kind, long_size = 12, None, None
    while position + 8 <= end:
        file.seek(position)
        name, size = struct.unpack("<4sI", file.read(8))
        if name == b"fmt " and size >= 16 and position + 8 + size <= end:
            code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", file.read(16))
            if code == 0xFFFE and size >= 26:
                file.seek(position + 8 + 24)
                (code,) = struct.unpack("<H", file.read(2))
            kind = (code, bits), channels, rate
        elif name == b"ds64" and size >= 16 and position + 24 <= end:
            _, long_size = struct.unpack("<QQ", file.read(16))
        elif name == b"data":
            start = position + 8
            size = long_size if size == 0xFFFF_FFFF and long_size is not None else size
            if kind is None:
                return None
            if not (0 < kind[1] <= MAX_CHANNELS and RATES[0] <= kind[2] <= RATES[1]):
                return None
            if size >= end - start or _chunks_follow(file, start + size + size % 2, end):
                return None
            return _whole(file, kind, size, start, end)
        position += 8 + size + size % 2
    return None


def _whole(
    file: BinaryIO, kind: tuple[tuple[int, int], int, int], size: int, start: int, end: int
) -> Whole:
    """Return the samples of a WAV file from byte ``start`` to its ``end``."""
    (code, bits), channels, rate = kind
    if (code, bits) in SUBTYPES:
        options = {"format": "RAW", "channels": channels, "samplerate": rate,
                   "subtype": SUBTYPES[code, bits], "endian": "LITTLE"}  # fmt: skip
        seconds = size / (channels * bits // 8) / rate if size else None
        return Whole(b"", start, options, seconds)
    # for codecs with blocks, libsndfile needs the header
    file.seek(0)
    head = bytearray(file.read(start))
    head[start - 4 :] = struct.pack("<I", end - start)
    head[4:8] = struct.pack("<I", end - 8)
    if (fact := head.find(b"fact", 12)) >= 0:
        # its count of samples is wrong too; libsndfile skips unknown chunks
        head[fact : fact + 4] = b"junk"
    return Whole(bytes(head), start, {}, None)


def _chunks_follow(file: BinaryIO, position: int, end: int) -> bool:
    """Return whether the file ends at ``position`` or holds only whole chunks after it."""
    while position + 8 <= end:
        file.seek(position)
        name, size = struct.unpack("<4sI", file.read(8))
        if not all(32 <= letter < 127 for letter in name) or position + 8 + size > end + 1:
            return False
        position += 8 + size + size % 2
    return position >= end - 8
