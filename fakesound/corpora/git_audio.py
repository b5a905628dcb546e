"""Read audio files of public git repositories from clones without a work tree."""

import io
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
from jaxtyping import Float32

from fakesound.data.audio import decode_audio
from fakesound.data.decoding import reason
from fakesound.errors import InputError

GITHUB = "https://github.com"
# rate of GSM files, which have no header
GSM_RATE = 8_000


class Clone:
    """Files of one commit, read through a single ``git cat-file`` process.

    Args:
        folder: git directory.
        commit: commit, or any name that git resolves.

    Raises:
        InputError: if ``folder`` lacks the commit.
    """

    def __init__(self, folder: Path, commit: str = "HEAD") -> None:
        self.folder = folder
        listing = _git(folder, "ls-tree", "-r", "-z", commit)
        if listing.returncode:
            raise InputError(f"{folder}: has no commit {commit}; fetch it, or clone again")
        self._blobs = dict(_blobs(listing.stdout))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def paths(self) -> list[str]:
        """Paths of all files, in git's order."""
        return list(self._blobs)

    def __contains__(self, path: str) -> bool:
        return path in self._blobs

    def read(self, path: str) -> bytes:
        """Return the content of the file at ``path``.

        Raises:
            InputError: if the commit has no such file, or the clone lacks its content.
        """
        if path not in self._blobs:
            raise InputError(f"{self.folder}: has no file {path}")
        if self._process is None:
            self._process = subprocess.Popen(
                ["git", "-C", self.folder, "cat-file", "--batch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(self._blobs[path].encode() + b"\n")
        stdin.flush()
        header = stdout.readline().split()
        # git prints "OBJECT missing" if the clone left the file out
        if len(header) != 3:
            raise InputError(f"{self.folder}: lacks the content of {path}")
        content = stdout.read(int(header[2]))
        stdout.read(1)
        return content

    def close(self) -> None:
        """End the git process."""
        if self._process is not None:
            self._process.communicate()
            self._process = None


@contextmanager
def open_clone(folder: Path, commit: str = "HEAD") -> Iterator[Clone]:
    """Yield the `Clone` in ``folder``; close it afterwards."""
    clone = Clone(folder, commit)
    try:
        yield clone
    finally:
        clone.close()


def find_clone(mirror: Path, repository: str) -> Path | None:
    """Return the git directory of ``repository`` (OWNER/NAME) under ``mirror``; None: not found.

    It may be a bare clone or a work tree at OWNER+NAME, OWNER+NAME/repo or OWNER/NAME, with or
    without ``.git``.
    """
    joined = repository.replace("/", "+")
    for name in (joined, f"{joined}/repo", f"{joined}.git", repository, f"{repository}.git"):
        for folder in (mirror / name, mirror / name / ".git"):
            if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
                return folder
    return None


def clone_commit(
    repository: str, commit: str, folder: Path, host: str = GITHUB, largest: str | None = None
) -> Path:
    """Fetch one commit of ``repository`` (OWNER/NAME) into a bare clone without history.

    Files of ``largest`` or more, such as "4m", are not fetched.

    Raises:
        InputError: with git's reason, if it cannot be fetched.
    """
    folder.mkdir(parents=True, exist_ok=True)
    url = f"{host}/{repository}"
    limit = [f"--filter=blob:limit={largest}"] if largest else []
    fetch = ("fetch", "-q", "--depth", "1", *limit, url, commit)
    for command in (("init", "-q", "--bare", "."), fetch):
        done = _git(folder, *command)
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines() or ["git failed"]
            raise InputError(f"{url} at {commit}: cannot be fetched ({lines[-1]})")
    return folder


def decode(content: bytes | BinaryIO, name: str, rate: int) -> Float32[np.ndarray, " sample"]:
    """Return the audio in ``content``, mono at ``rate``.

    A file whose ``name`` ends in ``.gsm`` has no header and is read as GSM full rate at 8 kHz.

    Raises:
        InputError: naming ``name``, if the content is not audio or is damaged.
    """
    source = io.BytesIO(content) if isinstance(content, bytes) else content
    if name.lower().endswith(".gsm"):
        try:
            audio, _ = soundfile.read(
                source, samplerate=GSM_RATE, channels=1, format="RAW", subtype="GSM610"
            )
        except soundfile.LibsndfileError as error:
            raise InputError(f"{name}: cannot be decoded ({reason(error)})") from None
        source = io.BytesIO()
        soundfile.write(source, audio, GSM_RATE, format="WAV", subtype="FLOAT")
        source.seek(0)
    return decode_audio(source, name, rate)


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", folder, *arguments], capture_output=True)


def _blobs(listing: bytes) -> Iterator[tuple[str, str]]:
    for entry in listing.split(b"\0"):
        if entry:
            fields, path = entry.split(b"\t", 1)
            _mode, kind, name = fields.decode().split()
            if kind == "blob":
                yield path.decode(errors="surrogateescape"), name
