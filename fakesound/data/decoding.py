"""Decode audio files from start to end, whatever length the header declares.

libsndfile decodes, with three corrections. Recorders that crash and programs that write to a pipe
leave a zero or wrong length in a WAV header. An MP3 file of variable bit rate without a Xing frame,
or one joined from several files, has no length, and libsndfile would stop at an estimate. And
python-soundfile seeks after every read, which resets the state of lossy decoders. Formats that
libsndfile does not read are first decoded by another decoder.
"""

import io
import os
import re
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePath
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import soundfile
from jaxtyping import Float32

from fakesound.data import flac, ogg, wav
from fakesound.data.containers import Decoded, decode_container, is_container
from fakesound.data.location import AnyLocation, open_audio, parse_location
from fakesound.data.mp3 import (
    changes_format,
    constant_mp2,
    find_layer,
    frames_end,
    is_mp3_stream,
    is_mpeg_audio,
    tag_length,
    with_length,
)
from fakesound.data.notes import Notes
from fakesound.data.samples import RATES
from fakesound.data.views import patch_start
from fakesound.errors import InputError

Block = Float32[np.ndarray, "sample channel"]

BLOCK = 262_144  # samples decoded at a time
# subtypes that seek to the exact sample; others are decoded from the start
EXACT = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
LOSSLESS = ("PCM_", "FLOAT", "DOUBLE", "ALAC_", "DWVW", "DPCM")
# codecs without a length, which libsndfile estimates from the size of the file
UNCOUNTED = ("MPEG_LAYER_I", "MPEG_LAYER_II")
AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}  # bytes of a sample by encoding
TAGGED = (*wav.MARKS, b"FORM", flac.MARK, ogg.MARK)  # formats that some programs tag like MP3
# known by suffix too, since a file cut out of a stream may begin inside a frame
MPEG_SUFFIXES = (".mp3", ".mpga", ".mp2", ".mpa", ".m2a")
# libsndfile's note on a header (WAV, AIFF, AU) that declares more bytes than the file has
CUT_SHORT = re.compile(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)")
# programs that write to a pipe declare this many bytes or more for an unknown length
UNKNOWN_SIZE = 0x7FFF_0000
UNKNOWN_FRAMES = 2**40  # libsndfile reports far more frames for an unknown length


class Source(NamedTuple):
    """Input of libsndfile.

    Attributes:
        file: name or stream.
        options: options for samples without a header.
        declared: length in seconds in a wrong header, or None in it for no length; None if the
            header is right.
        decoded: audio that another decoder decoded first.
        remark: note on the file.
    """

    file: str | bytes | BinaryIO
    options: Mapping[str, Any] = {}
    declared: tuple[float | None] | None = None
    decoded: Decoded | None = None
    remark: str = ""


class SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile is untyped
    """Audio file that is read without seeking between reads.

    Attributes:
        reopen: function that opens the file again.
        location: location of the file; None for bytes in memory.
        source: input of libsndfile.
    """

    reopen: Callable[[], AbstractContextManager["SequentialFile"]]
    location: AnyLocation | None
    source: Source

    def seekable(self) -> bool:
        """Return False, so that soundfile neither seeks after a read nor stops at the length."""
        return False

    @property
    def expected(self) -> int:
        """Samples per channel that the file should hold: the declared ones, if it was cut short."""
        if cut := CUT_SHORT.search(self.extra_info):
            declared, found = int(cut[1]), int(cut[2])
            # a few missing bytes are padding
            if 0 < found < declared - 64 and declared < UNKNOWN_SIZE:
                return self.frames * declared // found
        return self.frames

    @property
    def counted(self) -> bool:
        """Whether the file declares its length; FLAC written to a pipe and MP2 do not."""
        return bool(self.frames < UNKNOWN_FRAMES) and self.subtype not in UNCOUNTED

    def describe(self, notes: Notes, decoded: int) -> None:
        """Add notes on the declared length, the header and the codec.

        Args:
            notes: notes to add to.
            decoded: number of decoded samples per channel.
        """
        declared = self.frames / self.samplerate if self.counted else None
        if self.source.declared is not None:
            (declared,) = self.source.declared
        elif (cut := CUT_SHORT.search(self.extra_info)) and int(cut[1]) >= UNKNOWN_SIZE:
            declared = None
        notes.length(declared, decoded / self.samplerate)
        if self.source.remark:
            notes.write("header", self.source.remark)
        if (first := self.source.decoded) is not None:
            notes.write("codec", first.codec)
            if first.tracks > 1:
                notes.write("tracks", f"there are {first.tracks}; only the first one was read")
            if first.damaged:
                notes.write("codec", f"damaged packets that were skipped: {first.damaged}")
        elif not self.subtype.startswith(LOSSLESS) and self.format != "FLAC":
            notes.write("codec", f"{self.subtype}, lossy")


@contextmanager
def open_decoder(path: AnyLocation, content: bytes | None = None) -> Iterator[SequentialFile]:
    """Open the audio file at ``path``, with a wrong length in its header corrected.

    Args:
        path: location of the file; with ``content`` only a name for messages.
        content: bytes of a file in memory.

    Raises:
        InputError: if the file is missing, empty or not audio.
    """
    local = parse_location(path).local if content is None else None
    if local is not None:
        _check_file(path, local)
    with ExitStack() as stack:
        whole = stack.enter_context(_opened(path, local, content))
        try:
            file = _open(stack, _corrected(path, local, whole))
        except (soundfile.LibsndfileError, TypeError) as error:
            file = _open(stack, _decoded_first(path, local, whole, error))
        if not RATES[0] <= file.samplerate <= RATES[1]:
            raise InputError(
                f"{path}: its header gives {file.samplerate} Hz, which no recorder uses; replace it"
            )
        file.reopen = partial(open_decoder, path, content)
        file.location = path if content is None else None
        try:
            yield file
        except soundfile.LibsndfileError as error:
            raise InputError(f"{path}: cannot be decoded ({reason(error)}); replace it") from None


def _check_file(path: AnyLocation, local: Path) -> None:
    try:
        if local.is_dir():
            raise InputError(f"{path}: is a folder; name a file in it, or make the folder readable")
        if local.is_symlink() and not local.exists():
            raise InputError(f"{path}: links to a file that does not exist; remove it")
        if local.exists() and not local.is_file():
            raise InputError(f"{path}: is a pipe or a device; name it alone to read it")
        if not local.is_file():
            raise InputError(f"{path}: no such file")
        if local.stat().st_size == 0:
            raise InputError(f"{path}: is empty (0 bytes); replace or remove it")
    except InputError:
        raise
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: cannot be read ({why}); check it") from None


def _open(stack: ExitStack, source: Source) -> SequentialFile:
    file = stack.enter_context(SequentialFile(source.file, **source.options))
    file.source = source
    if file.subtype == "OPUS":
        # otherwise libsndfile 1.2 also returns the encoder's delay before the first sample
        file.seek(0)
    return file


def _decoded_first(
    path: AnyLocation, local: Path | None, whole: BinaryIO, error: Exception
) -> Source:
    """Decode a file that libsndfile refused with ``error`` by another decoder.

    Raises:
        InputError: if no other decoder reads the file.
    """
    whole.seek(0)
    head = whole.read(32)
    if isinstance(error, TypeError):
        raise InputError(
            f"{path}: raw samples without a header; convert it with their rate and channels: "
            "ffmpeg -f s16le -ar RATE -ac CHANNELS -i FILE FILE.wav"
        ) from None
    if not is_container(str(path), head, error):
        whole.seek(0)
        # cut out of an MP3 file, and without its suffix
        if is_mp3_stream(data := whole.read()) and (source := _mpeg(path, local, data)):
            return source
        raise InputError(f"{path}: cannot be read as audio ({reason(error)}); replace it") from None
    return _by_other_decoder(path, local, whole)


def _by_other_decoder(path: AnyLocation, local: Path | None, whole: BinaryIO) -> Source:
    whole.seek(0)
    decoded = decode_container(local, None if local else whole.read(), str(path))
    declared = None if decoded.declared is None else (decoded.declared,)
    return Source(_name(decoded.path), declared=declared, decoded=decoded)


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

    They are the same, bit for bit, for every ``start`` and ``block``.
    """
    before = 0
    if start and file.counted and file.subtype.startswith(EXACT):
        before, start = file.seek(min(start, file.frames)), 0
    # behind the last sample of FLAC, the decoder would take a tag for damage
    left = UNKNOWN_FRAMES
    if file.format == "FLAC" and file.counted:
        left = file.frames - before
    while len(samples := file.read(min(block, left), dtype="float32", always_2d=True)):
        left -= len(samples)
        if start < len(samples):
            yield samples[start:]
        start = max(0, start - len(samples))


def reason(error: Exception) -> str:
    """Return the message of libsndfile without its final dot."""
    text = str(getattr(error, "error_string", error)).strip().rstrip(".")
    if "does not exist" in text:  # what it returns for a tag without audio
        return "no audio in it"
    return text or type(error).__name__


def _corrected(path: AnyLocation, local: Path | None, file: BinaryIO) -> Source:
    """Return the input of libsndfile, with a wrong length in the header corrected."""
    head = file.read(24)
    if (tag := tag_length(head)) and (mark := _read_at(file, tag, 24))[:4] in TAGGED:
        # libsndfile counts a tag before the header as audio
        local, file, head = None, patch_start(file, b"", tag), mark
    if head[:4] in wav.MARKS and head[8:12] == b"WAVE":
        if (short := wav.longer_than_declared(file)) is not None:
            whole = patch_start(file, short.head, short.start)
            return Source(whole, short.options, (short.seconds,))
    elif head[:4] == b".snd" and len(head) == 24:
        start, size, encoding, rate, channels = struct.unpack(">5I", head[4:])
        if size < UNKNOWN_SIZE and start + size < file.seek(0, io.SEEK_END) - 1:
            unknown = head[:8] + b"\xff" * 4 + head[12:]
            second = AU_BYTES.get(encoding, 0) * channels * rate
            declared = size / second if size and second else None
            return Source(patch_start(file, unknown, len(head)), declared=(declared,))
    elif head[:4] == flac.MARK:
        if (header := flac.short_header(file)) is not None:
            whole = patch_start(file, header.unknown, len(header.unknown))
            return Source(whole, declared=(header.seconds,))
    elif head[:4] == ogg.MARK:
        pages = ogg.read_pages(file)
        remark = "" if pages.ended else "the stream has no end; the file may be cut short"
        if len(pages.links) > 1:
            return _joined(local, file, pages.links, remark)
        file.seek(0)
        return Source(file if local is None else _name(local), remark=remark)
    elif is_mpeg_audio(head) or PurePath(str(path)).suffix.lower() in MPEG_SUFFIXES:
        file.seek(0)
        data = file.read()
        if (source := _mpeg(path, local, data)) is not None:
            return source
    file.seek(0)
    return Source(file if local is None else _name(local))


def _mpeg(path: AnyLocation, local: Path | None, data: bytes) -> Source | None:
    """Return the input for an MP3 or MP2 file; None for a file that needs no correction."""
    layer = find_layer(data)
    if layer is None:
        # not by name, since libsndfile would read it as MP3 because of the suffix
        return Source(io.BytesIO(data))
    frames = constant_mp2(data) if layer == 2 else None
    if changes_format(data) if layer == 3 else frames is None:
        return _by_other_decoder(path, local, io.BytesIO(data))
    if frames is not None:
        return Source(io.BytesIO(frames))
    if (counted := with_length(data)) is not None:
        return Source(io.BytesIO(counted.data), declared=(counted.declared,))
    # mpg123 would warn of a long tag behind the frames on stderr
    end = frames_end(data)
    return Source(io.BytesIO(data[:end])) if end < len(data) else None


def _read_at(file: BinaryIO, position: int, size: int) -> bytes:
    file.seek(position)
    return file.read(size)


def _name(path: Path) -> str | bytes:
    """Return a path for soundfile, which refuses names that are not UTF-8 unless given as bytes."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def _joined(local: Path | None, file: BinaryIO, links: Sequence[int], remark: str) -> Source:
    """Decode an Ogg file of several streams in a row, of which libsndfile would read the first.

    Files with streams that libsndfile cannot read, or of different rates, go to other decoders.
    """
    decoded, out, codec = Decoded.empty(), None, ""
    end = file.seek(0, io.SEEK_END)
    try:
        for start, after in pairwise((*links, end)):
            file.seek(start)
            source = Source(io.BytesIO(file.read(after - start)))
            with ExitStack() as stack:
                link = _open(stack, source)
                if out is None:
                    codec = f"{link.subtype}, lossy, {len(links)} streams in a row"
                    shape = link.samplerate, link.channels
                    out = soundfile.SoundFile(decoded.path, "w", *shape, "FLOAT", format="W64")
                if (link.samplerate, link.channels) != (out.samplerate, out.channels):
                    raise soundfile.LibsndfileError(0, "streams of different rates: ")
                for block in decode_blocks(link):
                    out.write(block)
    finally:
        if out is not None:
            out.close()
    decoded.codec = codec
    return Source(_name(decoded.path), decoded=decoded, remark=remark)
