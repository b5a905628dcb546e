"""Decode formats that libsndfile does not read, such as M4A and WebM, with PyAV or ffmpeg."""

import io
import os
import shlex
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from itertools import chain
from pathlib import Path, PurePath
from typing import Any, BinaryIO

import soundfile

from fakesound.data.folders import CONTAINERS
from fakesound.errors import InputError

# messages of libsndfile for a known format with an unknown codec
UNSUPPORTED = ("unsupported encoding", "unimplemented format", "not implemented", "not supported")
MAGIC = {0: (b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"#!AMR", b"wvpk", b"MAC ", b"TTA", b"DSD ",
             b"FLV", b"\x0bw", b"\x77\x0b", b"ADIF", b".RMF", b"MPCK", b"MP+", b"OggS", b"G@",
             b"\x00\x00\x01\xba"),
         4: (b"ftyp", b"moov", b"mdat", b"wide", b"G@"), 8: (b"AVI ",)}  # fmt: skip


@dataclass
class Decoded:
    """Audio decoded to a temporary W64 file of 32-bit floats, deleted with this object.

    Attributes:
        path: temporary file.
        codec: names of the codec and the decoder.
        damaged: number of packets that could not be decoded.
    """

    path: Path
    codec: str = ""
    damaged: int = 0

    def __post_init__(self) -> None:
        weakref.finalize(self, self.path.unlink, missing_ok=True)

    @classmethod
    def empty(cls) -> "Decoded":
        """Return an object with an empty file."""
        number, name = tempfile.mkstemp(prefix="fakesound-", suffix=".w64")
        os.close(number)
        return cls(Path(name))


# format tags of WAV files: G.726, MPEG, AAC, WMA, AC-3
WAV_TAGS = (0x45, 0x50, 0x55, 0xFF, 0x160, 0x161, 0x162, 0x1600, 0x1610, 0x2000)


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
    stat = path.stat()
    try:
        return _decoded_file(path, name, stat.st_size, stat.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{name}: cannot be decoded ({error.strerror}); free some space") from None


@lru_cache(maxsize=2)
def _decoded_file(path: Path, name: str, size: int, time: int) -> Decoded:
    del size, time  # only keys of the cache: a changed file is decoded again
    return _decoded(path, name)


def _decoded(source: Path | BinaryIO, name: str) -> Decoded:
    if find_spec("av") is not None:
        return _with_av(source, name)
    if shutil.which("ffmpeg") is not None:
        return _with_ffmpeg(source, name)
    target = shlex.quote(PurePath(name).with_suffix(".wav").name)
    raise InputError(
        f"{name}: no decoder for this format is installed; pip install '.[formats]', or convert "
        f"it: ffmpeg -i {shlex.quote(str(name))} {target}"
    )


def _with_av(source: Path | BinaryIO, name: str) -> Decoded:
    import av

    decoded = Decoded.empty()
    try:
        # an open file, since FFmpeg would read some names as protocols
        with (
            source.open("rb") if isinstance(source, Path) else source as file,
            av.open(file, "r", metadata_errors="ignore") as container,
        ):
            if not container.streams.audio:
                raise InputError(f"{name}: holds no audio; replace or remove it")
            stream = container.streams.audio[0]
            if stream.codec_context is None:
                raise InputError(f"{name}: its codec is unknown to PyAV; convert it to WAV")
            codec = stream.codec_context.codec
            lossy = "" if codec.lossless else ", lossy"
            decoded.codec = f"{codec.name}{lossy}, by PyAV {av.__version__}"
            resampler = av.AudioResampler(format="flt")

            def frames() -> Iterator[Any]:
                for packet in container.demux(stream):
                    try:
                        yield from packet.decode()
                    except av.error.FFmpegError:
                        decoded.damaged += 1

            # None flushes the resampler
            frames_and_end = chain(frames(), [None])
            blocks = (one for frame in frames_and_end for one in resampler.resample(frame))
            _write(decoded.path, blocks, name)
    except InputError:
        raise
    except (av.error.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{name}: cannot be read as audio ({reason}); replace it") from None
    return decoded


def _write(path: Path, frames: Iterator[Any], name: str) -> None:
    """Write packed PyAV frames to ``path``."""
    file = None
    try:
        for frame in frames:
            rate, channels = frame.sample_rate, frame.layout.nb_channels
            if file is None:
                file = soundfile.SoundFile(path, "w", rate, channels, "FLOAT", format="W64")
            if (file.samplerate, file.channels) != (rate, channels):
                raise InputError(f"{name}: changes its rate or channels; cut it into parts")
            file.write(frame.to_ndarray().reshape(-1, channels))
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"{name}: cannot be decoded into {path.parent} ({error.error_string}); free some space "
            "there, or set TMPDIR to another folder"
        ) from None
    finally:
        if file is not None:
            file.close()
    if file is None:
        raise InputError(f"{name}: holds no samples that can be decoded; replace or remove it")


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
