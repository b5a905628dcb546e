"""Find FLAC files that hold more samples than their header declares, by the last frame."""

import io
import struct
from typing import BinaryIO, NamedTuple

MARK = b"fLaC"
TAIL = 2**17  # bytes searched for the last frame
TOTAL = 21  # the low half of this byte and the next four bytes hold the number of samples


class Header(NamedTuple):
    """Corrected start of a FLAC file that declares too few samples.

    Attributes:
        unknown: start of the file, with the number of samples set to unknown.
        seconds: length in seconds that the header declares.
    """

    unknown: bytes
    seconds: float


def short_header(file: BinaryIO) -> Header | None:
    """Return the corrected header of a file that declares too few samples; None for others."""
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(26)
    if len(head) < 26 or head[4] & 0x7F:
        return None
    smallest, largest = struct.unpack(">HH", head[8:12])
    rate = int.from_bytes(head[18:21]) >> 4
    total = (head[TOTAL] & 15) << 32 | int.from_bytes(head[TOTAL + 1 :])
    if not total or not rate:
        return None
    file.seek(max(0, end - TAIL))
    tail = file.read()
    place = len(tail)
    while (place := tail.rfind(b"\xff", 0, place)) >= 0:
        frame = _frame(tail[place : place + 16])
        if frame is not None:
            number, size = frame
            # the number counts frames if all have one size, otherwise samples
            fixed = tail[place + 1] == 0xF8 and smallest == largest
            if (number * largest if fixed else number) + size <= total:
                return None
            unknown = head[:TOTAL] + bytes([head[TOTAL] & 0xF0]) + bytes(4)
            return Header(unknown, total / rate)
    return None


def _frame(header: bytes) -> tuple[int, int] | None:
    """Return the number and the samples of a frame; None if its header is invalid."""
    if len(header) < 6 or header[1] not in (0xF8, 0xF9):
        return None
    if not header[2] >> 4:
        return None
    first = header[4]
    more = 0 if first < 0x80 else 8 - (~first & 0xFF).bit_length() - 1
    if first in (0xFE, 0xFF) or 0x80 <= first < 0xC0:
        return None
    number = first if not more else first & (0x3F >> more)
    for byte in header[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    code, rate = header[2] >> 4, header[2] & 15
    at, width = 5 + more, {6: 1, 7: 2}.get(code, 0)
    after = at + width + {12: 1, 13: 2, 14: 2}.get(rate, 0)
    if len(header) <= after or _checksum(header[:after]) != header[after]:
        return None
    if width:
        return number, int.from_bytes(header[at : at + width]) + 1
    return number, 192 if code == 1 else 576 << code - 2 if code < 6 else 256 << code - 8


def _checksum(data: bytes) -> int:
    """Return the CRC-8 with the polynomial 0x07."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 7 if value & 0x80 else value << 1) & 0xFF
    return value
