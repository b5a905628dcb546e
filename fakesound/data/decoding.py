"""Decode audio files front to back, to their real end, whatever the header declares.

libsndfile decodes; three things are corrected before it sees a file. Recorders that crash and
programs that write to a pipe leave a length of zero or a wrong one in a WAV header. An MP3 file of
variable bit rate without a Xing frame, or one that several files were joined into, has no length,
and libsndfile would stop at an estimate. And python-soundfile seeks after every read, at which
lossy decoders lose their state.
"""

import io
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from jaxtyping import Float32

from fakesound.data.location import AnyLocation, open_audio, parse_location
from fakesound.errors import InputError

Block = Float32[np.ndarray, "sample channel"]

BLOCK = 262_144  # samples decoded at a time
# samples a second that recorders and converters have; a header with others is damaged
RATES = (1_000, 400_000)
MAX_CHANNELS = 1024  # of libsndfile
# subtypes in which seeking is exact to the sample; others are decoded from the start
EXACT = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
WAV_SUBTYPES = {(1, 8): "PCM_U8", (1, 16): "PCM_16", (1, 24): "PCM_24", (1, 32): "PCM_32",
                (3, 32): "FLOAT", (3, 64): "DOUBLE", (6, 8): "ALAW", (7, 8): "ULAW"}  # fmt: skip
# kbit/s of MPEG layer III by version 1 and by versions 2 and 2.5, and rates of version 1
BIT_RATES = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
MP3_RATES = (44_100, 48_000, 32_000)


class SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile is untyped
    """A file that is read without seeking between reads.

    Attributes:
        reopen: function that opens the file anew.
        location: Location of the file; None for bytes in memory.
    """

    reopen: Callable[[], AbstractContextManager["SequentialFile"]]
    location: AnyLocation | None

    def seekable(self) -> bool:
        """Return False: soundfile then neither seeks after a read nor stops at the header's end."""
        return False


@contextmanager
def open_decoder(path: AnyLocation, content: bytes | None = None) -> Iterator[SequentialFile]:
    """Yield the audio file at ``path``, its length corrected where the header is wrong.

    Args:
        path: location of the file; with ``content`` a name for messages only.
        content: bytes of a file that is in memory.

    Raises:
        InputError: if the file is missing, empty or not audio.
    """
    local = parse_location(path).local if content is None else None
    if local is not None:
        if not local.is_file():
            raise InputError(f"{path}: no such file")
        if local.stat().st_size == 0:
            raise InputError(f"{path}: is empty (0 bytes); replace or remove it")
    try:
        with (
            _opened(path, local, content) as whole,
            _corrected(local, whole) as (source, options),
            SequentialFile(source, **options) as file,
        ):
            if not RATES[0] <= file.samplerate <= RATES[1]:
                raise InputError(
                    f"{path}: its header gives {file.samplerate} Hz, a rate no recorder has; "
                    "replace it"
                )
            file.reopen = partial(open_decoder, path, content)
            file.location = path if content is None else None
            yield file
    except soundfile.LibsndfileError as error:
        raise InputError(f"{path}: cannot be read as audio ({reason(error)}); replace it") from None


def _opened(
    path: AnyLocation, local: Path | None, content: bytes | None
) -> AbstractContextManager[BinaryIO]:
    if content is not None:
        return nullcontext(io.BytesIO(content))
    if local is not None:
        try:
            return local.open("rb")
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); check it") from None
    return open_audio(path)


def decode_blocks(file: SequentialFile, start: int = 0, block: int = BLOCK) -> Iterator[Block]:
    """Yield the samples of ``file`` from ``start`` to its end, ``block`` at a time.

    The same samples, bit for bit, for every ``start`` and ``block``.
    """
    if start and file.subtype.startswith(EXACT):
        file.seek(min(start, file.frames))
        start = 0
    while len(samples := file.read(block, dtype="float32", always_2d=True)):
        if start < len(samples):
            yield samples[start:]
        start = max(0, start - len(samples))


def reason(error: Exception) -> str:
    """Return what libsndfile reports, in a few words."""
    text = str(getattr(error, "error_string", error)).strip().rstrip(".")
    return text or type(error).__name__


@contextmanager
def _corrected(
    local: Path | None, file: BinaryIO
) -> Iterator[tuple[Path | BinaryIO, dict[str, Any]]]:
    """Yield what libsndfile opens, and the options it needs."""
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        options, offset = _headless_wav(file)
        if options:
            file.seek(offset)
            yield io.BytesIO(file.read()), options
            return
    elif head[:3] == b"ID3" or (len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2):
        file.seek(0)
        counted = _with_length(file.read())
        if counted is not None:
            yield io.BytesIO(counted), {}
            return
    file.seek(0)
    yield (file if local is None else local), {}


def _headless_wav(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """Return how to read a WAV file whose data chunk is longer than declared, and where it begins.

    Nothing where the declared length can be right: the file ends there, or chunks follow.
    """
    end = file.seek(0, io.SEEK_END)
    position, kind = 12, None
    while position + 8 <= end:
        file.seek(position)
        name, size = struct.unpack("<4sI", file.read(8))
        if name == b"fmt " and size >= 16 and position + 8 + size <= end:
            code, channels, rate, _, _, bits = struct.unpack("<HHIIHH", file.read(16))
            if code == 0xFFFE and size >= 26:
                file.seek(position + 8 + 24)
                (code,) = struct.unpack("<H", file.read(2))
            kind = (code, bits), channels, rate
        elif name == b"data":
            start = position + 8
            if kind is None or kind[0] not in WAV_SUBTYPES:
                return {}, 0
            if not (0 < kind[1] <= MAX_CHANNELS and RATES[0] <= kind[2] <= RATES[1]):
                return {}, 0
            if size >= end - start or _chunks_follow(file, start + size + size % 2, end):
                return {}, 0
            subtype = WAV_SUBTYPES[kind[0]]
            options = {"format": "RAW", "channels": kind[1], "samplerate": kind[2],
                       "subtype": subtype, "endian": "LITTLE"}  # fmt: skip
            return options, start
        position += 8 + size + size % 2
    return {}, 0


def _chunks_follow(file: BinaryIO, position: int, end: int) -> bool:
    """Return whether the file ends at ``position`` or holds only whole chunks after it."""
    while position + 8 <= end:
        file.seek(position)
        name, size = struct.unpack("<4sI", file.read(8))
        if not all(32 <= letter < 127 for letter in name) or position + 8 + size > end + 1:
            return False
        position += 8 + size + size % 2
    return position >= end - 8


def _with_length(data: bytes) -> bytes | None:
    """Return an MP3 file with a Xing frame that gives its real length; None if it has a right one.

    Frames are counted from header to header. Information frames of files that were joined are left
    out: they hold no audio.
    """
    position = _after_tag(data)
    frames: list[tuple[int, int]] = []
    declared: int | None = None
    information = 0
    while position + 4 <= len(data):
        size = _frame_size(data, position)
        if size is None:
            found = _next_frame(data, position)
            if found is None:
                break
            position = found
            continue
        count = _declared(data, position, size)
        if count is None:
            frames.append((position, size))
        else:
            information += 1
            declared = count if declared is None and not frames else declared
        position += size
    if not frames or (information == 1 and declared == len(frames)):
        return None
    start, _ = frames[0]
    header = bytearray(data[start : start + 4])
    header[1] |= 1  # without a checksum
    header[2] = header[2] & 0x0F | 0x90  # a bit rate at which the frame has room
    length = _frame_size(bytes(header), 0)
    assert length is not None
    place = 4 + _side_information(header)
    mark = struct.pack(">4sII", b"Xing", 1, len(frames))
    information_frame = bytearray(length)
    information_frame[:4] = header
    information_frame[place : place + len(mark)] = mark
    return bytes(information_frame) + b"".join(data[at : at + size] for at, size in frames)


def _after_tag(data: bytes) -> int:
    if data[:3] != b"ID3" or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if data[5] & 0x10 else 0)


def _next_frame(data: bytes, position: int) -> int | None:
    """Return where the next two frames in a row begin after ``position``."""
    while (position := data.find(b"\xff", position + 1)) >= 0:
        size = _frame_size(data, position)
        if size is None:
            continue
        after = position + size
        if after + 4 > len(data) or _frame_size(data, after) is not None:
            return position
    return None


def _frame_size(data: bytes, position: int) -> int | None:
    """Return the bytes of the layer III frame at ``position``, None if there is none."""
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
    """Return the bytes between the header of a frame and its Xing mark."""
    first_version, mono = header[1] >> 3 & 3 == 3, header[3] >> 6 == 3
    return (17 if mono else 32) if first_version else (9 if mono else 17)


def _declared(data: bytes, position: int, size: int) -> int | None:
    """Return the frames that an information frame declares, 0 if it does not; None for audio."""
    body = data[position : position + size]
    place = 4 + _side_information(body[:4])
    if len(body) >= place + 12 and body[place : place + 4] in (b"Xing", b"Info"):
        flags, count = struct.unpack(">II", body[place + 4 : place + 12])
        return int(count) if flags & 1 else 0
    if len(body) >= 54 and body[36:40] == b"VBRI":
        return int(struct.unpack(">I", body[50:54])[0])
    return None
