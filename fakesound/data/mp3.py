"""Count the frames of MP3 files, and correct files whose header gives a wrong count or none."""

import struct
from typing import NamedTuple

# bit rates of layer III in kbit/s for MPEG 1 and for MPEG 2 and 2.5; sample rates of MPEG 1 in Hz
BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
MP3_RATES = (44_100, 48_000, 32_000)


def is_mp3(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` can be an MP3 file."""
    return head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2)


def has_frames(data: bytes) -> bool:
    """Return whether ``data`` holds frames of an MP3 file."""
    return _next_frame(data, -1) is not None


class Corrected(NamedTuple):
    """A corrected MP3 file.

    Attributes:
        data: file with a Xing frame that gives its real length.
        declared: length in seconds in the original header; None if it gives none.
    """

    data: bytes
    declared: float | None


def with_length(data: bytes) -> Corrected | None:
    """Return an MP3 file with a Xing frame that gives its real length; None if it needs none.

    Frames are counted from header to header. Further information frames of joined files, which
    hold no audio, are dropped. A file that ends inside a frame, before its declared length, keeps
    that length.
    """
    position = _after_tag(data)
    frames: list[tuple[int, int]] = []
    declared: int | None = None
    information, cut = 0, False
    while position + 4 <= len(data):
        size = _frame_size(data, position)
        if size is None:
            found = _next_frame(data, position)
            if found is None:
                break
            position = found
            continue
        if cut := position + size > len(data):
            break
        count = _declared(data, position, size)
        if count is None:
            frames.append((position, size))
        else:
            information += 1
            declared = count if declared is None and not frames else declared
        position += size
    if not frames:
        return None
    early = cut and declared is not None and declared > len(frames)
    if information == 1 and (declared == len(frames) or early):
        return None
    start, _ = frames[0]
    header = bytearray(data[start : start + 4])
    header[1] |= 1  # without a checksum
    header[2] = header[2] & 0x0F | 0x90  # a bit rate whose frames are long enough
    length = _frame_size(bytes(header), 0)
    assert length is not None
    place = 4 + _side_information(header)
    mark = struct.pack(">4sII", b"Xing", 1, len(frames))
    information_frame = bytearray(length)
    information_frame[:4] = header
    information_frame[place : place + len(mark)] = mark
    seconds = None if not declared else declared * _frame_seconds(data[start : start + 4])
    return Corrected(
        bytes(information_frame) + b"".join(data[at : at + size] for at, size in frames), seconds
    )


def _frame_seconds(header: bytes) -> float:
    version = header[1] >> 3 & 3
    hertz = MP3_RATES[header[2] >> 2 & 3] >> {3: 0, 2: 1, 0: 2}[version]
    return (1152 if version == 3 else 576) / hertz


def _after_tag(data: bytes) -> int:
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if data[5] & 0x10 else 0)


def _next_frame(data: bytes, position: int) -> int | None:
    """Return the first byte after ``position`` at which two consecutive frames begin."""
    while (position := data.find(b"\xff", position + 1)) >= 0:
        size = _frame_size(data, position)
        if size is None:
            continue
        after = position + size
        if after + 4 > len(data) or _frame_size(data, after) is not None:
            return position
    return None


def _frame_size(data: bytes, position: int) -> int | None:
    """Return the size in bytes of the layer III frame at ``position``; None for no frame."""
    if position + 4 > len(data) or data[position] != 0xFF or data[position + 1] & 0xE6 != 0xE2:
        return None
    version = data[position + 1] >> 3 & 3  # 0: 2.5, 2: 2, 3: 1
    bit_rate, rate = data[position + 2] >> 4, data[position + 2] >> 2 & 3
    if version == 1 or bit_rate in (0, 15) or rate == 3:
        return None
    kilobits = BIT_RATES[version != 3][bit_rate]
    hertz = MP3_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    padding = data[position + 2] >> 1 & 1
    return (144 if version == 3 else 72) * 1000 * kilobits // hertz + padding


def _side_information(header: bytes | bytearray) -> int:
    """Return the number of bytes between the header of a frame and its Xing mark."""
    first_version, mono = header[1] >> 3 & 3 == 3, header[3] >> 6 == 3
    return (17 if mono else 32) if first_version else (9 if mono else 17)


def _declared(data: bytes, position: int, size: int) -> int | None:
    """Return the number of frames in an information frame, 0 for no number; None for audio."""
    body = data[position : position + size]
    place = 4 + _side_information(body[:4])
    if len(body) >= place + 12 and body[place : place + 4] in (b"Xing", b"Info"):
        flags, count = struct.unpack(">II", body[place + 4 : place + 12])
        return int(count) if flags & 1 else 0
    if len(body) >= 54 and body[36:40] == b"VBRI":
        return int(struct.unpack(">I", body[50:54])[0])
    return None
