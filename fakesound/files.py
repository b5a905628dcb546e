"""Files that are whole or absent, append-only journals, and folders for one process at a time."""

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

from fakesound.errors import InputError

LOCK, OWNER = ".lock", ".owner"
# data loading workers may outlive a killed process by this long, and hold its lock meanwhile
ORPHANS_SECONDS = 15.0
# by folder; each is held until the process ends
_locks: dict[Path, FileLock] = {}


@contextmanager
def atomic_write(path: Path, durable: bool = True) -> Iterator[BinaryIO]:
    """Open a binary file that replaces ``path`` when the block ends without an error.

    After a kill or with a full disk, ``path`` holds the new content or the old one, never a part.
    A device or a pipe, such as /dev/null, is written to and never replaced.

    Args:
        path: File to write; its folder is made.
        durable: Whether this also holds after a power cut (fsync).

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
        # a failed write names no file, a failed replacement names the temporary one
        if error.errno is None or str(error.filename) not in ("None", str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes | str, durable: bool = True) -> None:
    """Write ``data`` to ``path`` with `atomic_write`; text as UTF-8, bytes of file names as are."""
    with atomic_write(path, durable) as file:
        file.write(data.encode(errors="surrogateescape") if isinstance(data, str) else data)


def check_outputs(outputs: Mapping[str, Path | None], inputs: Iterable[Path]) -> None:
    """Check that files can be written, before the work whose results they are to hold.

    Args:
        outputs: file of each option; None where it is not given.
        inputs: files that are read.

    Raises:
        InputError: naming the option, for a file in no writable folder, or one that is an input,
            another output or a folder.
    """
    taken = {path.resolve(): f"is the recording {path}" for path in inputs}
    for option, path in outputs.items():
        if path is None or (path.exists() and not path.is_file() and not path.is_dir()):
            continue
        if path.is_dir():
            raise InputError(f"{option}={path}: is a folder; name a file")
        if (used := taken.get(path.resolve())) is not None:
            raise InputError(f"{option}={path}: {used}; name another file")
        taken[path.resolve()] = f"is also {option}"
        check_folder(option, path.parent, path)


def check_folder(option: str, folder: Path, named: Path) -> None:
    """Make ``folder`` and check that files can be written there.

    Raises:
        InputError: naming the option and what it ``named``.
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
    """Append-only JSON Lines, one object per line, in which a crash loses at most the last line.

    Args:
        path: File of the journal; it need not exist yet.
        durable: Whether `append` returns only when the line is on disk (fsync).
    """

    def __init__(self, path: Path, durable: bool = False) -> None:
        self.path, self.durable = path, durable

    def entries(self) -> Iterator[tuple[int, Any]]:
        """Yield the number and content of each line; None for a line that a crash cut short."""
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
        line = json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        try:
            with self.path.open("a+b", buffering=0) as file:
                if end := file.seek(0, os.SEEK_END):
                    file.seek(end - 1)
                    # end a line that was cut short, so that this one stands by itself
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

    One process at a time does so. On an error, also that of a full disk, ``folder`` stays as it
    was. The file named ``last`` is removed first and moved last: while it exists, all files belong
    together.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # a sibling, so that relative paths are right in both
    new = folder.with_name(f".{folder.name}.new")
    with FileLock(folder / LOCK):
        # left by a process that was killed
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


def clear_remains(folder: Path) -> None:
    """Remove temporary files that a killed process left under ``folder``."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def lock_folder(folder: Path, key: str) -> None:
    """Reserve ``folder`` for this process until it ends, and make it if it does not exist.

    A folder that this process holds already stays locked.

    Args:
        folder: Folder to work in.
        key: Option or key that gave the folder, for the error message.

    Raises:
        InputError: naming the process that holds the folder.
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
                f"{key}={folder}: process {owner.get('pid', 'unknown')} on "
                f"{owner.get('host', 'another machine')} works there; wait for it, or name "
                "another folder"
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
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
