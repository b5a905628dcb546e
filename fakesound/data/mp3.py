"""Count the frames of MP3 and MP2 files, and correct files with a wrong count or none."""

import struct
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

# bit rates of layer III in kbit/s for MPEG 1 and for MPEG 2 and 2.5; sample rates of MPEG 1 in Hz
BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
MP2_BIT_RATES = (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384)  # MPEG 1
MP3_RATES = (44_100, 48_000, 32_000)
LEAST = 4  # frames of another format that are audio, not damage
NEAR = 4_096  # the longest frame has 1,441 bytes
LAME = 36  # bytes of the extension in which encoders give their delay, after the fields of Xing
FIELDS = ((1, 4), (2, 4), (4, 100), (8, 4))  # flags and lengths of the fields of Xing


def is_mpeg_audio(head: bytes) -> bool:
    """Return whether a file that begins with ``head`` can be an MP3 or an MP2 file."""
    sync = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 in (0xE2, 0xE4)
    return sync or head[:3] == b"ID3"


def find_layer(data: bytes) -> int | None:
    """Return the layer, 3 (MP3) or 2 (MP2), of the first frames in ``data``; None for none."""
    found = {layer: _next_frame(data, tag_length(data) - 1, layer) for layer in (3, 2)}
    places = {layer: place for layer, place in found.items() if place is not None}
    return min(places, key=lambda layer: places[layer]) if places else None


def is_mp3_stream(data: bytes) -> bool:
    """Return whether frames follow each other from the first one on, near the start."""
    first = list(islice(_frames(data, 3), LEAST))
    ends = [position + size for position, size in first]
    return len(first) == LEAST and first[0][0] < NEAR and ends[:-1] == [p for p, _ in first[1:]]


def frames_end(data: bytes) -> int:
    """Return the first byte behind the last frame of an MP3 file, which may be cut."""
    return max((position + size for position, size in _frames(data, 3)), default=0)


def changes_format(data: bytes) -> bool:
    """Return whether an MP3 file changes between mono and stereo, or changes its sample rate.

    Such files are joined from several, or made by encoders that change the mode; mpg123 stops at
    the change. A few frames of another format are damage.
    """
    formats = Counter(_format(data, position) for position, _ in _frames(data, 3))
    return sum(count >= LEAST for count in formats.values()) > 1


def constant_mp2(data: bytes) -> bytes | None:
    """Return the frames of an MP2 file, without tags; None if rates or channels change.

    mpg123 estimates the length of such files from their size and the first frame.
    """
    frames = [frame for frame in _frames(data, 2) if sum(frame) <= len(data)]
    # the bit rate is in the same byte as the padding, which may change
    kinds = {(*_format(data, position), data[position + 2] >> 4) for position, _ in frames}
    return b"".join(data[at : at + size] for at, size in frames) if len(kinds) == 1 else None


def _format(data: bytes, position: int) -> tuple[int, int, bool]:
    """Return version, index of the sample rate, and whether a frame is mono."""
    version, rate = data[position + 1] >> 3 & 3, data[position + 2] >> 2 & 3
    return version, rate, data[position + 3] >> 6 == 3


def _frames(data: bytes, layer: int) -> Iterator[tuple[int, int]]:
    """Yield position and size of each frame; the last one may be cut."""
    position = tag_length(data)
    while position + 4 <= len(data):
        size = _frame_size(data, position, layer)
        if size is None:
            found = _next_frame(data, position, layer)
            if found is None:
                return
            position = found
        else:
            yield position, size
            position += size


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
    frames: list[tuple[int, int]] = []
    declared: int | None = None
    information, cut, extension = 0, False, b""
    for position, size in _frames(data, 3):
        if cut := position + size > len(data):
            break
        count = _declared(data, position, size)
        if count is None:
            frames.append((position, size))
        else:
            information += 1
            if not frames and not extension:
                extension = _extension(data, position, size)
            declared = count if declared is None and not frames else declared
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
    mark = struct.pack(">4sII", b"Xing", 1, len(frames)) + extension
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


def tag_length(data: bytes) -> int:
    """Return the number of bytes of the ID3 tag at the start of a file; 0 without a tag."""
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if data[5] & 0x10 else 0)


def _next_frame(data: bytes, position: int, layer: int) -> int | None:
    """Return the first byte after ``position`` at which two consecutive frames begin."""
    while (position := data.find(b"\xff", position + 1)) >= 0:
        size = _frame_size(data, position, layer)
        if size is None:
            continue
        after = position + size
        if after + 4 > len(data) or _frame_size(data, after, layer) is not None:
            return position
    return None


def _frame_size(data: bytes, position: int, layer: int = 3) -> int | None:
    """Return the size in bytes of the frame at ``position``; None for no frame of ``layer``."""
    mark = 0xE0 | (4 - layer) << 1
    if position + 4 > len(data) or data[position] != 0xFF or data[position + 1] & 0xE6 != mark:
        return None
    version = data[position + 1] >> 3 & 3  # 0: 2.5, 2: 2, 3: 1
    bit_rate, rate = data[position + 2] >> 4, data[position + 2] >> 2 & 3
    if version == 1 or bit_rate in (0, 15) or rate == 3:
        return None
    kilobits = (BIT_RATES[1] if version != 3 else BIT_RATES[0] if layer == 3 else MP2_BIT_RATES)[
        bit_rate
    ]
    hertz = MP3_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
    padding = data[position + 2] >> 1 & 1
    return (144 if version == 3 or layer == 2 else 72) * 1000 * kilobits // hertz + padding


def _side_information(header: bytes | bytearray) -> int:
    """Return the number of bytes between the header of a frame and its Xing mark."""
    first_version, mono = header[1] >> 3 & 3 == 3, header[3] >> 6 == 3
    return (17 if mono else 32) if first_version else (9 if mono else 17)


def _extension(data: bytes, position: int, size: int) -> bytes:
    """Return the extension of LAME in an information frame, without padding; empty for none."""
    start = position + 4 + _side_information(data[position : position + 4])
    if data[start : start + 4] not in (b"Xing", b"Info"):
        return b""
    (flags,) = struct.unpack(">I", data[start + 4 : start + 8])
    start += 8 + sum(length for flag, length in FIELDS if flags & flag)
    extension = data[start : min(start + LAME, position + size)]
    if len(extension) < LAME or not extension[0]:
        return b""
    # the padding is that of the first of several files; the real end of the audio is unknown
    return extension[:22] + bytes([extension[22] & 0xF0, 0]) + extension[24:]


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
