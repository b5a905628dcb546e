"""Where audio lies: in a file of its own, in a tar of many, here or at a URL.

A place is written ``TAR::NAME@OFFSET+SIZE`` for a member of a tar, with the byte at which it begins
and its length, so that any clip is one read of one range, whatever the size of the tar. Without
``@OFFSET+SIZE``, as in tars that others made, the headers of the tar are read once to find it.
``TAR``, and the name of a file of its own, may be a URL that fsspec knows, such as
``s3://bucket/folder/00000.tar``.
"""

import io
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from fakesound.errors import InputError

HEADER = tarfile.BLOCKSIZE
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
IN_TAR = ".tar::"
_SPAN = re.compile(r"(?P<name>.+)@(?P<offset>\d+)\+(?P<size>\d+)", re.DOTALL)
# a member up to this size is fetched whole, of a longer one what is asked for
WHOLE = 2**20
# of which so much is read at a time: here, and from a URL, where each request takes long
BLOCK, FAR_BLOCK = 2**16, 2**18
# and kept, so that going back to the header costs nothing
BLOCKS_KEPT = 4


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A member of a tar, or a file at a URL.

    Attributes:
        file: path or URL of the tar, or URL of the file.
        member: its name in the tar; "" for a file of its own.
        offset: byte of the tar at which it begins.
        size: bytes of it.
    """

    file: str
    member: str = ""
    offset: int = 0
    size: int = 0

    def __str__(self) -> str:
        if not self.member:
            return self.file
        return f"{self.file}::{self.member}@{self.offset}+{self.size}"

    @property
    def name(self) -> str:
        """Last part of the name."""
        return PurePosixPath(self.member or self.file).name

    @property
    def suffix(self) -> str:
        """Ending of the name."""
        return PurePosixPath(self.name).suffix

    def is_file(self) -> bool:
        """Return whether it is there; of a member, whether its tar reaches so far."""
        length = file_size(self.file)
        return length is not None and self.offset + self.size <= length


AudioPath = Path | Place


def is_url(text: str) -> bool:
    """Return whether ``text`` is a URL, not a path on this machine."""
    return URL.match(text) is not None


def place(text: str) -> AudioPath:
    """Return what ``text`` names: a path of this machine, or else a `Place`.

    Raises:
        InputError: if it names a member that its tar does not have.
    """
    file, in_tar, member = text.partition(IN_TAR)
    if in_tar:
        file += ".tar"
        if span := _SPAN.fullmatch(member):
            return Place(file, span["name"], int(span["offset"]), int(span["size"]))
        span_of = _members(file).get(member)
        if span_of is None:
            raise InputError(f"{text}: {file} has no such member")
        return Place(file, member, *span_of)
    return Place(text) if is_url(text) else Path(text)


def file_size(file: str) -> int | None:
    """Return the bytes of a file or URL; None if it is not there."""
    if not is_url(file):
        return os.stat(file).st_size if os.path.isfile(file) else None
    with _told(file):
        system, name = _system(file)
        return int(system.info(name)["size"]) if system.isfile(name) else None


def read_bytes(path: AudioPath) -> bytes:
    """Return all bytes of a file or member.

    Raises:
        InputError: if it cannot be read, or the tar holds something else there.
    """
    if isinstance(path, Path):
        return path.read_bytes()
    if not path.member:
        return read_range(path.file)
    # the header before it, to know that the tar is still the one that was listed
    data = read_range(path.file, path.offset - HEADER, path.offset + path.size)
    _check_header(path, data)
    return data[HEADER:]


@contextmanager
def open_audio(path: AudioPath) -> Iterator[BinaryIO]:
    """Yield the bytes of a file or member, to read from anywhere.

    Raises:
        InputError: if it cannot be read, or the tar holds something else there.
    """
    if isinstance(path, Path):
        with path.open("rb") as file:
            yield file
    elif not path.member:
        with _told(path.file):
            system, name = _system(path.file)
            file = system.open(name, "rb")
        with file:
            yield file
    elif path.size <= WHOLE:
        yield io.BytesIO(read_bytes(path))
    else:
        _check_header(path, read_range(path.file, path.offset - HEADER, path.offset))
        with io.BufferedReader(_Member(path)) as member:
            yield member


def read_range(file: str, start: int = 0, stop: int | None = None) -> bytes:
    """Return the bytes ``[start, stop)`` of a file or URL, to its end if None; fewer if it ends."""
    if is_url(file):
        with _told(file):
            system, name = _system(file)
            return bytes(system.cat_file(name, start=start, end=stop))
    try:
        with open(file, "rb", buffering=0) as opened_file:
            opened_file.seek(start)
            return opened_file.read(-1 if stop is None else stop - start) or b""
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None


class _Member(io.RawIOBase):
    """A long member of a tar as a file, of which only what is asked for is read."""

    def __init__(self, path: Place) -> None:
        self.path, self.at = path, 0
        self.block = FAR_BLOCK if is_url(path.file) else BLOCK
        self.kept: dict[int, bytes] = {}

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.path.size}[whence]
        self.at = max(0, base + offset)
        return self.at

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # whatever has a buffer
        number, skipped = divmod(self.at, self.block)
        part = self._block(number)[skipped : skipped + len(buffer)]
        buffer[: len(part)] = part
        self.at += len(part)
        return len(part)

    def _block(self, number: int) -> bytes:
        if number not in self.kept:
            first = min(number * self.block, self.path.size)
            last = min(first + self.block, self.path.size)
            if len(self.kept) == BLOCKS_KEPT:
                del self.kept[next(reversed(self.kept))]
            start = self.path.offset
            self.kept[number] = read_range(self.path.file, start + first, start + last)
        return self.kept[number]


def _check_header(path: Place, data: bytes) -> None:
    name = data[:100].rstrip(b"\0")
    # longer names and others than ASCII stand elsewhere
    plain = path.member.isascii() and len(path.member) < 100
    if len(data) < HEADER or (plain and name != path.member.encode()):
        raise InputError(
            f"{path.file}: does not hold {path.member} at byte {path.offset}; it was changed after "
            "the manifest was written, make the shards again"
        )


@lru_cache(maxsize=64)
def _members(file: str) -> dict[str, tuple[int, int]]:
    """Return where the files in a tar begin, and their sizes, by name."""
    try:
        with open_audio(place(file)) as data, tarfile.open(fileobj=data, mode="r:") as tar:
            return {entry.name: (entry.offset_data, entry.size) for entry in tar if entry.isfile()}
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"{file}: cannot be read as a tar ({error})") from None


def _system(url: str) -> tuple[Any, str]:
    import fsspec

    # looked up each time: fsspec keeps them, and makes new ones in a process that was forked
    return fsspec.core.url_to_fs(url)


@contextmanager
def _told(url: str) -> Iterator[None]:
    """Say what goes wrong with ``url`` in one line; every store has errors of its own."""
    try:
        yield
    except InputError:
        raise
    except ImportError as error:
        raise InputError(
            f"{url}: reading it needs a package that is not installed ({error}); "
            "pip install '.[remote]'"
        ) from None
    except Exception as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{url}: cannot be read ({said})") from None
