"""What the audio of a run was, as a list of which ``sha256sum --check`` reads what is a file.

Audio at a URL is left out: hashing it would fetch all of it before the first step.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from fakesound.data.manifest import Clip
from fakesound.data.places import AudioPath, Place, is_url, open_audio

HASHES = "audio.sha256"
THREADS = 4


def audio_hashes(
    clips: Iterable[Clip], progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[AudioPath, str]:
    """Return the SHA-256 of each file of ``clips``, and member of a tar, in their order."""
    paths = [path for path in dict.fromkeys(clip.path for clip in clips) if _is_near(path)]
    found: dict[AudioPath, str] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for path, digest in zip(paths, pool.map(_digest, paths), strict=True):
            found[path] = digest
            progress(len(found), len(paths))
    return found


def hash_list(hashes: Mapping[AudioPath, str], folder: Path) -> str:
    """Return ``hashes`` as lines of a file in ``folder``."""
    lines = [f"{digest}  {relative(path, folder)}\n" for path, digest in hashes.items()]
    return "".join(sorted(lines, key=lambda line: line[64:]))


def read_list(text: str) -> dict[str, str]:
    """Return the digests in ``text`` by the places it gives; lines of another form are no part."""
    rows = [line.partition("  ") for line in text.splitlines()]
    return {place: digest for digest, _, place in rows if place}


def hash_of(hashes: Mapping[AudioPath, str]) -> str:
    """Return one digest of the audio, whatever its order and folder."""
    return hashlib.sha256("".join(sorted(hashes.values())).encode()).hexdigest()[:16]


def relative(path: AudioPath, folder: Path) -> str:
    """Return ``path`` as files in ``folder`` name it."""
    if isinstance(path, Place):
        return str(replace(path, file=relative(Path(path.file), folder)))
    return Path(os.path.relpath(path, folder)).as_posix()


def _is_near(path: AudioPath) -> bool:
    return isinstance(path, Path) or not is_url(path.file)


def _digest(path: AudioPath) -> str:
    with open_audio(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
