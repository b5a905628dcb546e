"""Decode formats that libsndfile does not read, such as M4A and WebM, with PyAV or ffmpeg."""

import io
import os
import shlex
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import numpy as np
import soundfile
from jaxtyping import Float32

from fakesound.data.folders import CONTAINERS
from fakesound.data.location import file_state
from fakesound.errors import InputError

AAC, MP3, WMA = ("aac", "aac_latm"), ("mp3", "mp3float"), ("wmav1", "wmav2")
# formats whose length FFmpeg estimates from the bit rate
ESTIMATED = ("aac", "ac3", "eac3", "mp3", "loas", "amr", "amrnb", "amrwb", "dts", "asf")
MISSING = 0.25  # seconds by which audio may be shorter than declared, such as delay and padding
Block = Float32[np.ndarray, "sample channel"]

# messages of libsndfile for a known format with an unknown codec
UNSUPPORTED = ("unsupported encoding", "unimplemented format", "not implemented", "not supported")
MAGIC = {0: (b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"#!AMR", b"wvpk", b"MAC ", b"TTA", b"DSD ",
             b"FLV", b"\x0bw", b"\x77\x0b", b"ADIF", b".RMF", b"MPCK", b"MP+", b"OggS", b"G@",
             b"\x00\x00\x01\xba", b"fLaC", b"ajkg", b"tBaK"),
         4: (b"ftyp", b"moov", b"mdat", b"wide", b"G@"), 8: (b"AVI ",)}  # fmt: skip


@dataclass
class Decoded:
    """Audio decoded to a temporary W64 file of 32-bit floats, deleted with this object.

    Attributes:
        path: temporary file.
        codec: names of the codec and the decoder.
        tracks: number of audio tracks in the file; the first one is decoded.
        damaged: number of packets that could not be decoded.
        declared: length in seconds that the container declares; None if it declares none, or no
            more than was decoded.
    """

    path: Path
    codec: str = ""
    tracks: int = 1
    damaged: int = 0
    declared: float | None = None

    def __post_init__(self) -> None:
        weakref.finalize(self, self.path.unlink, missing_ok=True)

    @classmethod
    def empty(cls) -> "Decoded":
        """Return an object with an empty file."""
        number, name = tempfile.mkstemp(prefix="fakesound-", suffix=".w64")
        os.close(number)
        return cls(Path(name))


# format tags of WAV files: Yamaha, G.726, MPEG, AAC, WMA, AC-3, DTS, FLAC
WAV_TAGS = (
    0x20,
    0x2001,
    0xA106,
    0xF1AC,
    0x45,
    0x50,
    0x55,
    0xFF,
    0x160,
    0x161,
    0x162,
    0x1600,
    0x1610,
    0x2000,
)


def is_container(name: str, head: bytes, error: Exception) -> bool:
    """Return whether another decoder may read a file that libsndfile refuses.

    Args:
        name: name of the file.
        head: first bytes of the file.
        error: error of libsndfile.
    """
    if any(word in str(error).lower() for word in UNSUPPORTED):
        return True
    if head[:4] == b"caff":
        # libsndfile knows the format, so a file that it cannot open is damaged
        return False
    if head[:4] == b"RIFF" and head[12:16] == b"fmt ":
        return int.from_bytes(head[20:22], "little") in WAV_TAGS
    # AAC in ADTS frames begins like MP3, with layer 0
    adts = len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0
    known = any(head.startswith(magics, at) for at, magics in MAGIC.items())
    return adts or known or PurePath(name).suffix.lower() in CONTAINERS


def has_decoder() -> bool:
    """Return whether `decode_container` has a decoder."""
    return find_spec("av") is not None or shutil.which("ffmpeg") is not None


def decode_container(path: Path | None, content: bytes | None, name: str) -> Decoded:
    """Decode the first audio stream of a file; the last two files are cached.

    Args:
        path: file to decode; None for ``content``.
        content: bytes of a file in memory.
        name: name for messages.

    Raises:
        InputError: if no decoder is installed, or the file holds no audio or is damaged.
    """
    if path is None:
        return _decoded(io.BytesIO(content or b""), name)
    try:
        return _decoded_file(path, name, file_state(path))
    except OSError as error:
        raise InputError(f"{name}: cannot be decoded ({error.strerror}); free some space") from None


@lru_cache(maxsize=2)
def _decoded_file(path: Path, name: str, state: tuple[int, int] | None) -> Decoded:
    del state  # only a key of the cache: a changed file is decoded again
    return _decoded(path, name)


def _decoded(source: Path | BinaryIO, name: str) -> Decoded:
    if find_spec("av") is not None:
        return _with_av(source, name)
    if shutil.which("ffmpeg") is not None:
        return _with_ffmpeg(source, name)
    target = shlex.quote(PurePath(name).with_suffix(".wav").name)
    raise InputError(
        f"{name}: no decoder for this format is installed; pip install av, or convert it: "
        f"ffmpeg -i {shlex.quote(str(name))} {target}"
    )


class _Input:
    """Open file that never raises when FFmpeg seeks, since PyAV would print a traceback."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.read, self.tell = file, file.read, file.tell

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Return the new position; -1 for a position that does not exist."""
        try:
            return self.file.seek(offset, whence)
        except (OSError, ValueError):
            return -1


def _with_av(source: Path | BinaryIO, name: str) -> Decoded:
    import av

    decoded = Decoded.empty()
    try:
        # an open file, since FFmpeg would read some names as protocols
        with (
            source.open("rb") if isinstance(source, Path) else source as file,
            av.open(_Input(file), "r", metadata_errors="ignore") as container,
        ):
            if not container.streams.audio:
                raise InputError(f"{name}: holds no audio; replace or remove it")
            stream = container.streams.audio[0]
            if stream.codec_context is None:
                raise InputError(f"{name}: its codec is unknown to PyAV; convert it to WAV")
            codec = stream.codec_context.codec
            lossy = "" if codec.lossless else ", lossy"
            decoded.codec = f"{codec.name}{lossy}, by PyAV {av.__version__}"
            decoded.tracks = len(container.streams.audio)
            seconds = _write(decoded.path, _blocks(container, stream, decoded), name)
            declared = _declared(container, stream)
            if declared is not None and declared > seconds + MISSING:
                decoded.declared = declared
    except InputError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{name}: cannot be read as audio ({reason}); replace it") from None
    return decoded


def _frames(container: Any, stream: Any, decoded: Decoded) -> Iterator[Any]:  # noqa: ANN401
    """Yield the decoded frames of a stream, up to damage behind which FFmpeg finds nothing.

    Without a given delay, the first frame of AAC, and of MP3 in AVI and FLV, is dropped: it
    overlaps a frame before it, which does not exist, so encoders put only delay there.
    """
    from av.error import FFmpegError

    packets, codec = container.demux(stream), stream.codec_context.name
    only_delay = codec in AAC and stream.codec_context.profile != "xHE-AAC"
    only_delay |= codec in MP3 and container.format.name in ("avi", "flv")
    while True:
        try:
            packet = next(packets)
            only_delay = only_delay and not packet.has_sidedata("skip_samples")
            frames = packet.decode()
        except StopIteration:
            return
        except FFmpegError:
            # iteration over packets that raised is over
            decoded.damaged += 1
            continue
        yield from frames[1:] if only_delay else frames
        only_delay = only_delay and not frames


def _blocks(container: Any, stream: Any, decoded: Decoded) -> Iterator[tuple[int, Block]]:  # noqa: ANN401
    """Yield the rate and the samples of each frame, without the encoder's delay and padding.

    FFmpeg drops the delay that a container gives, with two mistakes: of WMA it drops two frames
    where encoders add one, and of lossless codecs in CAF padding that is not there. Padding that a
    container gives as a shorter last packet is dropped here.
    """
    from av import AudioResampler
    from av.codec.context import Flags2

    wma, codec = stream.codec_context.name in WMA, stream.codec_context.codec
    if wma or (container.format.name == "caf" and codec.lossless):
        stream.codec_context.flags2 |= Flags2.skip_manual
    resampler, form = AudioResampler(format="flt"), None
    block, rate, length = None, 0, None
    for frame in _frames(container, stream, decoded):
        if form != (form := (frame.format.name, frame.layout.name, frame.sample_rate)):
            resampler = AudioResampler(format="flt")  # accepts one form of frames
        if block is not None:
            yield rate, block
        given = frame.side_data.get("SKIP_SAMPLES") if wma else None
        skip = 0 if given is None else int.from_bytes(bytes(given)[:4], "little") // 2
        parts = [one.to_ndarray().reshape(one.samples, -1) for one in resampler.resample(frame)]
        block, rate = np.concatenate(parts)[skip:], frame.sample_rate
        length = frame.duration if frame.time_base == Fraction(1, rate) else None
    if block is not None:
        yield rate, block[: length or None]


def _declared(container: Any, stream: Any) -> float | None:  # noqa: ANN401
    """Return the length in seconds that a container declares; None if it declares none."""
    if container.format.name in ESTIMATED:
        return None
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    # without a length of the stream, the container's may be that of a film
    only = len(container.streams) == 1 and container.duration is not None
    return container.duration / 1e6 if only else None


def _write(path: Path, blocks: Iterable[tuple[int, Block]], name: str) -> float:
    """Write blocks with their rates to ``path``; return the length in seconds."""
    file = None
    try:
        for rate, block in blocks:
            if file is None:
                channels = block.shape[1]
                file = soundfile.SoundFile(path, "w", rate, channels, "FLOAT", format="W64")
            if file.samplerate != rate:
                raise InputError(f"{name}: changes its sample rate; cut it into parts")
            if block.shape[1] != file.channels:
                # a change between mono and stereo
                block = block.mean(axis=1, keepdims=True).repeat(file.channels, axis=1)
            file.write(block)
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"{name}: cannot be decoded into {path.parent} ({error.error_string}); free some space "
            "there, or set TMPDIR to another folder"
        ) from None
    finally:
        if file is not None:
            seconds = file.frames / file.samplerate
            file.close()
    if file is None:
        raise InputError(f"{name}: holds no samples that can be decoded; replace or remove it")
    return seconds


def _with_ffmpeg(source: Path | BinaryIO, name: str) -> Decoded:
    decoded = Decoded.empty()
    # a prefix, since ffmpeg would read some names as options or protocols
    given = f"file:{source}" if isinstance(source, Path) else "pipe:0"
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", given, "-map", "0:a:0", "-c:a", "pcm_f32le", "-f", "w64",
         "-y", decoded.path],
        input=b"" if isinstance(source, Path) else source.read(),
        capture_output=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["ffmpeg failed"]
        raise InputError(f"{name}: cannot be read as audio ({lines[-1]}); replace it")
    decoded.codec = "decoded by ffmpeg"
    return decoded
