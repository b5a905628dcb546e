"""Atomic files, append-only journals, and folders that one process works in at a time."""

import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from fakesound.errors import InputError, unicode_name

LOCK, OWNER = ".lock", ".owner"
# seconds for which data loading workers may outlive a killed process and hold its lock
ORPHANS_SECONDS = 15.0
# locks by folder, released when the process ends
_locks: dict[Path, FileLock] = {}


@contextmanager
def atomic_write(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a binary file that replaces ``path`` when the block ends without an error.

    Even if the process is killed or the disk is full, ``path`` has either the new or the old
    content. Devices and pipes such as /dev/null are written to, not replaced.

    Args:
        path: file to write; its folder is created.
        durable: whether this also holds after a power failure (fsync).

    Raises:
        OSError: naming ``path``.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as file:
            yield file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        # a failed write names no file, a failed replacement the temporary one
        if error.errno is None or str(error.filename) not in ("None", str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes | str, durable: bool = True) -> None:
    """Write ``data`` to ``path`` with `atomic_write`; text as UTF-8, names of files unchanged."""
    with atomic_write(path, durable) as file:
        file.write(data.encode(errors="surrogateescape") if isinstance(data, str) else data)


def json_text(content: object, indent: int | None = None) -> str:
    r"""Return ``content`` as one JSON document with a line break at its end.

    Bytes of file names that are not UTF-8 are written as the text ``\xe9``.

    Raises:
        ValueError: for a number that is not finite.
    """
    text = json.dumps(content, indent=indent, ensure_ascii=False, allow_nan=False)
    # a backslash in a JSON string is written twice
    return unicode_name(text, escape="\\\\x") + "\n"


def json_bytes(content: object) -> bytes:
    r"""Return ``content`` as JSON from which names that are not UTF-8 are read back unchanged.

    Their bytes are written as the JSON escape of a lone surrogate, such as ``\udce9``.
    """
    return json.dumps(content, ensure_ascii=False).encode(errors="backslashreplace")


def check_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[Path]) -> None:
    """Check that output files can be written, before the work starts.

    Args:
        outputs: file of each option; None for an absent option.
        inputs: files that are read.

    Raises:
        InputError: naming the option, for a file that is an input, another output or a folder, or
            whose folder is not writable.
    """
    uses = {path.resolve(): f"is the input {path}" for path in inputs}
    for option, path in outputs.items():
        if path is None or (path.exists() and not path.is_file() and not path.is_dir()):
            continue
        if path.is_dir():
            raise InputError(f"{option}={path}: is a folder; name a file")
        if (used := uses.get(path.resolve())) is not None:
            raise InputError(f"{option}={path}: {used}; name another file")
        uses[path.resolve()] = f"is also {option}"
        check_folder(option, path.parent, path)


def check_folder(option: str, folder: Path, named: Path) -> None:
    """Create ``folder`` and check that it is writable.

    Args:
        option: option for the error message.
        folder: folder to check.
        named: value of the option.

    Raises:
        InputError: naming the option and its value.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"{option}={named}: cannot be written ({error.strerror}); name another"
        ) from None


class Journal:
    """Append-only JSON Lines file of which a crash loses at most the last line.

    Args:
        path: file of the journal; it may not exist yet.
        durable: whether `append` returns only when the line is on disk (fsync).
    """

    def __init__(self, path: Path, durable: bool = False) -> None:
        self.path, self.durable = path, durable

    def entries(self) -> Iterator[tuple[int, Any]]:
        """Yield number and content of each line; the content of a truncated line is None."""
        content = self.path.read_bytes() if self.path.is_file() else b""
        for number, line in enumerate(content.split(b"\n"), start=1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError:
                    yield number, None

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a line.

        Raises:
            OSError: naming the journal.
        """
        # ASCII escapes can represent file names that are not UTF-8
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        try:
            with self.path.open("a+b", buffering=0) as file:
                if end := file.seek(0, os.SEEK_END):
                    file.seek(end - 1)
                    # terminate a truncated line
                    if file.read(1) != b"\n":
                        line = b"\n" + line
                if file.write(line) != len(line):
                    raise OSError(f"{self.path}: the disk is full")
                if self.durable:
                    os.fsync(file.fileno())
        except OSError as error:
            if error.errno is None:
                raise
            raise OSError(error.errno, error.strerror, str(self.path)) from error


@contextmanager
def staged(folder: Path, last: str) -> Iterator[Path]:
    """Yield a temporary folder whose files move into ``folder`` when the block ends.

    Other processes wait meanwhile. After an error, including a full disk, ``folder`` is unchanged.
    The file named ``last`` is removed first and moved last: if it exists, all files are consistent.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # a sibling, so that relative paths are valid in both
    new = folder.with_name(f".{folder.name}.new")
    with FileLock(folder / LOCK):
        # remains of a killed process
        shutil.rmtree(new, ignore_errors=True)
        try:
            yield new
            (folder / last).unlink(missing_ok=True)
            files = [path for path in new.rglob("*") if path.is_file()]
            for path in sorted(files, key=lambda path: path == new / last):
                target = folder / path.relative_to(new)
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)
        finally:
            shutil.rmtree(new, ignore_errors=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder that replaces ``folder`` when the block ends without an error.

    ``folder`` is complete or absent, also after a kill.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def clear_remains(folder: Path) -> None:
    """Remove temporary files of killed processes under ``folder``."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def lock_folder(folder: Path, key: str) -> None:
    """Create ``folder`` if necessary, and lock it until this process ends.

    A folder that this process has already locked stays locked.

    Args:
        folder: folder to work in.
        key: option or configuration key of the folder, for the error message.

    Raises:
        InputError: naming the process that has locked the folder.
    """
    folder = folder.resolve()
    if folder in _locks:
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        owner = _owner(folder)
        try:
            lock.acquire(timeout=ORPHANS_SECONDS if _ended(owner) else 0)
        except Timeout:
            raise InputError(
                f"{key}={folder}: in use by process {owner.get('pid', 'unknown')} on "
                f"{owner.get('host', 'another machine')}; wait for it, or name another folder"
            ) from None
    _locks[folder] = lock
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "command": sys.argv}
    write_whole(folder / OWNER, json.dumps(owner) + "\n")


def _owner(folder: Path) -> dict[str, object]:
    try:
        owner = json.loads((folder / OWNER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _ended(owner: dict[str, object]) -> bool:
    """Return whether the process that took the lock is known to have ended."""
    pid = owner.get("pid")
    if os.name != "posix" or owner.get("host") != socket.gethostname() or type(pid) is not int:
        return False
    try:
        with suppress(PermissionError):
            os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
