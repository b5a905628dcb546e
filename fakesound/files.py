"""Files that are whole or not there, and folders that one process at a time works in."""

import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from fakesound.errors import InputError

LOCK, OWNER = ".lock", ".owner"
# how long data loading workers outlive a process that was killed, and hold its lock
ORPHANS_SECONDS = 15.0
# by the folder; held until the process ends
_claims: dict[Path, FileLock] = {}


def write_whole(path: Path, data: bytes | str, durable: bool = True) -> None:
    """Write ``data`` to ``path`` at once; text as UTF-8.

    Whatever happens meanwhile, a kill or a full disk, ``path`` holds all of it or what was there
    before; the same of a power cut, where it is to be ``durable``.

    Raises:
        OSError: naming ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno is None:
            raise
        # that of a write does not name the file
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def staged(folder: Path, last: str) -> Iterator[Path]:
    """Yield a folder whose files, when all are written, take their places in ``folder``.

    One process at a time does so. Until then what is in ``folder`` stays, also if the disk is full.
    The file named ``last`` goes first and comes last: where it is, all is of one kind.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    # beside it, so that paths relative to the one are right in the other
    new = folder.with_name(f".{folder.name}.new")
    with FileLock(folder / LOCK):
        # of a process that was killed
        shutil.rmtree(new, ignore_errors=True)
        try:
            yield new
            (folder / last).unlink(missing_ok=True)
            files = [path for path in new.rglob("*") if path.is_file()]
            for path in sorted(files, key=lambda path: path == new / last):
                place = folder / path.relative_to(new)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def clear_remains(folder: Path) -> None:
    """Remove what `write_whole` of a process that was killed left under ``folder``."""
    for path in folder.rglob(".*.tmp"):
        path.unlink(missing_ok=True)


def claim(folder: Path, key: str) -> None:
    """Keep ``folder`` to this process until it ends, however it ends; make it where it is not.

    A folder that this process has already is left as it is.

    Args:
        folder: to work in.
        key: what it was given with, for the message.

    Raises:
        InputError: naming the process that works there.
    """
    folder = folder.resolve()
    if folder in _claims:
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
    _claims[folder] = lock
    owner = {"pid": os.getpid(), "host": socket.gethostname(), "command": sys.argv}
    write_whole(folder / OWNER, json.dumps(owner) + "\n")


def _owner(folder: Path) -> dict[str, object]:
    try:
        owner = json.loads((folder / OWNER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return owner if isinstance(owner, dict) else {}


def _ended(owner: dict[str, object]) -> bool:
    """Return whether the process that took the lock is known to be gone."""
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
