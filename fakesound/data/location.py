"""Locations of audio: plain files or members of a tar, local or at a URL.

A location is a path, a URL that fsspec supports, or ``TAR::NAME@OFFSET+SIZE`` for a member of a
tar. With its first byte and length, a clip is read in one range request, whatever the size of the
tar. Without ``@OFFSET+SIZE``, as in tars made by other tools, the headers of the tar are read once
to find the member.
"""

import io
import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from fakesound.data.views import in_blocks
from fakesound.errors import InputError

HEADER = tarfile.BLOCKSIZE
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
IN_TAR = ".tar::"
RANGE = re.compile(r"(.+)@(\d+)\+(\d+)", re.DOTALL)
# members up to this size are read whole, longer ones in blocks
WHOLE = 2**20
# bytes of a block: local, and from a URL, where each request is slow
BLOCK, REMOTE_BLOCK = 2**16, 2**18


class Location(NamedTuple):
    """A file, or a member of a tar.

    Attributes:
        file: path or URL of the file or the tar.
        member: name in the tar; "" for a plain file.
        offset: first byte of the member in the tar.
        size: length of the member in bytes.
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
        """File name, without folders."""
        return PurePosixPath(self.member or self.file).name

    @property
    def suffix(self) -> str:
        """Suffix of the file name."""
        return PurePosixPath(self.name).suffix

    @property
    def folder(self) -> str:
        """Path or URL of the folder that holds the file."""
        return self.file.rpartition("/")[0] or ("/" if self.file.startswith("/") else ".")

    @property
    def remote(self) -> bool:
        """Whether the file is at a URL."""
        return is_url(self.file)

    @property
    def local(self) -> Path | None:
        """The path of a plain local file; None for anything else."""
        return None if self.member or self.remote else Path(self.file)

    def is_file(self) -> bool:
        """Return whether the file exists; for a member, whether the tar is long enough."""
        length = file_size(self.file)
        return length is not None and self.offset + self.size <= length


AnyLocation = str | Path | Location


def is_url(text: str) -> bool:
    """Return whether ``text`` is a URL rather than a path."""
    return URL.match(text) is not None


def parse_location(text: AnyLocation) -> Location:
    """Return the location that ``text`` names.

    Raises:
        InputError: if it names a member that its tar does not have.
    """
    if isinstance(text, Location):
        return text
    file, in_tar, member = str(text).partition(IN_TAR)
    if not in_tar:
        return Location(file)
    file += ".tar"
    if match := RANGE.fullmatch(member):
        return Location(file, match[1], int(match[2]), int(match[3]))
    span = _members(file).get(member)
    if span is None:
        raise InputError(f"{text}: {file} has no such member")
    return Location(file, member, *span)


def file_size(file: str) -> int | None:
    """Return the size of a file or URL in bytes; None if it does not exist."""
    if not is_url(file):
        return os.stat(file).st_size if os.path.isfile(file) else None
    with _remote_errors(file):
        system, name = _system(file)
        return int(system.info(name)["size"]) if system.isfile(name) else None


def file_state(location: AnyLocation) -> tuple[int, int] | None:
    """Return size and modification time of a plain local file; None for anything else.

    They identify a version of the file in caches and journals.
    """
    path = location if isinstance(location, Path) else parse_location(location).local
    if path is None or not path.exists():
        return None
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def read_bytes(location: AnyLocation) -> bytes:
    """Return all bytes of a file or member.

    Raises:
        InputError: if it cannot be read, or the tar has changed.
    """
    location = parse_location(location)
    if not location.member:
        return read_range(location.file)
    # with the preceding header, which shows whether the tar has changed
    data = read_range(location.file, location.offset - HEADER, location.offset + location.size)
    _check_header(location, data)
    return data[HEADER:]


def files_under(url: str) -> list[str]:
    """Return the URLs of all files under ``url``, sorted, or ``url`` itself if it is a file.

    Raises:
        InputError: if it cannot be listed.
    """
    with _remote_errors(url):
        system, name = _system(url)
        return sorted(system.unstrip_protocol(path) for path in system.find(name))


@contextmanager
def open_audio(location: AnyLocation) -> Iterator[BinaryIO]:
    """Open a file or member as a seekable binary stream.

    Raises:
        InputError: if it cannot be read, or the tar has changed.
    """
    location = parse_location(location)
    if location.local is not None:
        with location.local.open("rb") as file:
            yield file
    elif not location.member:
        with _remote_errors(location.file):
            system, name = _system(location.file)
            file = system.open(name, "rb")
        with file:
            yield file
    elif location.size <= WHOLE:
        yield io.BytesIO(read_bytes(location))
    else:
        _check_header(
            location, read_range(location.file, location.offset - HEADER, location.offset)
        )
        tar, first = location.file, location.offset
        block = REMOTE_BLOCK if location.remote else BLOCK
        with in_blocks(
            lambda start, stop: read_range(tar, first + start, first + stop), location.size, block
        ) as member:
            yield member


def read_range(file: str, start: int = 0, stop: int | None = None) -> bytes:
    """Return the bytes ``[start, stop)`` of a file or URL; to its end if None or if it is short."""
    if is_url(file):
        with _remote_errors(file):
            system, name = _system(file)
            return bytes(system.cat_file(name, start=start, end=stop))
    try:
        with open(file, "rb", buffering=0) as opened_file:
            opened_file.seek(start)
            return opened_file.read(-1 if stop is None else stop - start) or b""
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None


def _check_header(location: Location, data: bytes) -> None:
    name = data[:100].rstrip(b"\0")
    # the header stores longer names, and names outside ASCII, in another place
    plain = location.member.isascii() and len(location.member) < 100
    if len(data) < HEADER or (plain and name != location.member.encode()):
        raise InputError(
            f"{location.file}: does not hold {location.member} at byte {location.offset}, so it "
            "has changed since the manifest was written; make the shards again"
        )


@lru_cache(maxsize=64)
def _members(file: str) -> dict[str, tuple[int, int]]:
    """Return the offset and size of each file in a tar, by name."""
    try:
        with open_audio(file) as data, tarfile.open(fileobj=data, mode="r:") as tar:
            return {entry.name: (entry.offset_data, entry.size) for entry in tar if entry.isfile()}
    except (OSError, tarfile.TarError) as error:
        raise InputError(f"{file}: cannot be read as a tar ({error})") from None


def _system(url: str) -> tuple[Any, str]:
    import fsspec

    # not cached here: fsspec caches file systems, and makes new ones in a forked process
    return fsspec.core.url_to_fs(url)


@contextmanager
def _remote_errors(url: str) -> Iterator[None]:
    """Turn any error of a file system, whose types differ, into an `InputError`."""
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
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{url}: cannot be read ({reason})") from None
