"""Download of Debian packages with apt, and extraction of their files without dpkg."""

import lzma
import os
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from fakesound.errors import InputError

MAGIC = b"!<arch>\n"
HEADER = 60
# separates the name of an archive in a package from the name of its member
INSIDE = ":"
ARCHIVES = (".zip", ".pk3")


def find_package(folder: Path, name: str) -> Path | None:
    """Return the last .deb file, by name, of the package ``name`` in ``folder``; None: no file."""
    return max(folder.glob(f"{name}_*.deb"), default=None)


def download_package(name: str, folder: Path) -> Path:
    """Fetch the package ``name`` into ``folder`` with ``apt-get download``.

    Raises:
        InputError: if apt-get is not installed or fails.
    """
    if shutil.which("apt-get") is None:
        raise InputError(
            f"{name}: apt-get is not installed; put the package's .deb file into mirror=DIR"
        )
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["apt-get", "-q", "download", name], cwd=folder, capture_output=True)
    package = find_package(folder, name)
    if done.returncode or package is None:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["apt-get failed"]
        raise InputError(f"{name}: cannot be fetched ({lines[-1]})")
    return package


def unpack_package(package: Path, select: Callable[[str], bool], folder: Path) -> list[str]:
    """Write the files of a .deb that ``select`` accepts into ``folder`` and return their names.

    A member of a zip inside the package is named ``path/of/data.zip:path/of/member``; `unpacked`
    gives its path in ``folder``.

    Raises:
        InputError: if ``package`` is not a Debian package or is damaged.
    """
    names: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, content: BinaryIO) -> None:
        target = unpacked(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            shutil.copyfileobj(content, file)
        names.append(name)

    try:
        with package.open("rb") as file, _data(file, package) as members:
            for member in members:
                name = os.path.normpath(member.name)
                inside = name.lower().endswith(ARCHIVES)
                if not member.isfile() or name.startswith("..") or not (inside or select(name)):
                    continue
                content = members.extractfile(member)
                assert content is not None
                if not inside:
                    write(name, content)  # type: ignore[arg-type]
                    continue
                scratch = folder / "archive"
                with scratch.open("wb") as copy:
                    shutil.copyfileobj(content, copy)
                with zipfile.ZipFile(scratch) as archive:
                    for entry in archive.namelist():
                        full = f"{name}{INSIDE}{entry}"
                        safe = not os.path.normpath(entry).startswith(("..", "/"))
                        if safe and not entry.endswith("/") and select(full):
                            with archive.open(entry) as member_file:
                                write(full, member_file)  # type: ignore[arg-type]
                scratch.unlink()
    except InputError:
        raise
    # a damaged header gives a ValueError
    except (tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, EOFError, ValueError) as error:
        raise InputError(f"{package}: is damaged ({error}); download it again") from None
    return names


def unpacked(folder: Path, name: str) -> Path:
    """Return the path in ``folder`` that `unpack_package` writes the file ``name`` to."""
    return folder / "files" / name.replace(INSIDE, "/:/")


def _data(file: BinaryIO, package: Path) -> tarfile.TarFile:
    """Return the tar stream of the package's files; ``file`` is an ``ar`` archive."""
    if file.read(len(MAGIC)) != MAGIC:
        raise InputError(f"{package}: is not a Debian package; download it again")
    while len(header := file.read(HEADER)) == HEADER:
        name, size = header[:16].decode("latin-1").strip().rstrip("/"), int(header[48:58])
        if name.startswith("data.tar"):
            # Python has no zstd decoder before 3.14
            kind = {"data.tar.xz": "xz", "data.tar.gz": "gz", "data.tar": ""}.get(name)
            if kind is None:
                raise InputError(f"{package}: holds {name}; only xz and gz can be read")
            return tarfile.open(fileobj=file, mode=f"r|{kind}")  # type: ignore[call-overload]
        file.seek(size + size % 2, os.SEEK_CUR)
    raise InputError(f"{package}: holds no files; download it again")
