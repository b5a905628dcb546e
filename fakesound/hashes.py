"""What the audio of a run was, as a list that ``sha256sum --check`` reads."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fakesound.data.manifest import Clip

HASHES = "audio.sha256"
THREADS = 4


def audio_hashes(
    clips: Iterable[Clip], progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[Path, str]:
    """Return the SHA-256 of each file of ``clips``, in their order."""
    paths = list(dict.fromkeys(clip.path for clip in clips))
    found: dict[Path, str] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for path, digest in zip(paths, pool.map(_digest, paths), strict=True):
            found[path] = digest
            progress(len(found), len(paths))
    return found


def hash_list(hashes: Mapping[Path, str], folder: Path) -> str:
    """Return ``hashes`` as lines of a file in ``folder``."""
    lines = [f"{digest}  {relative(path, folder)}\n" for path, digest in hashes.items()]
    return "".join(sorted(lines, key=lambda line: line[64:]))


def read_list(text: str) -> dict[str, str]:
    """Return the digests in ``text`` by the places it gives; lines of another form are no part."""
    rows = [line.partition("  ") for line in text.splitlines()]
    return {place: digest for digest, _, place in rows if place}


def hash_of(hashes: Mapping[Path, str]) -> str:
    """Return one digest of the audio, whatever its order and folder."""
    return hashlib.sha256("".join(sorted(hashes.values())).encode()).hexdigest()[:16]


def relative(path: Path, folder: Path) -> str:
    """Return ``path`` as files in ``folder`` name it."""
    return Path(os.path.relpath(path, folder)).as_posix()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
