"""Hashes of a run's audio, in a list that ``sha256sum --check`` reads.

Audio at a URL is left out, since hashing would download all of it before the first step.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fakesound.data.location import open_audio, parse_location
from fakesound.data.manifest import Clip
from fakesound.data.manifest_paths import relative_path

HASHES = "audio.sha256"
THREADS = 4


def audio_hashes(
    clips: Iterable[Clip], progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, str]:
    """Return the SHA-256 of each file or tar member of ``clips``, in their order."""
    locations = dict.fromkeys(clip.location for clip in clips)
    paths = [text for text in locations if not parse_location(text).remote]
    digests: dict[str, str] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for path, digest in zip(paths, pool.map(audio_digest, paths), strict=True):
            digests[path] = digest
            progress(len(digests), len(paths))
    return digests


def hash_list(hashes: Mapping[str, str], folder: Path) -> str:
    """Return ``hashes`` as the lines of a file in ``folder``."""
    lines = [f"{digest}  {relative_path(path, str(folder))}\n" for path, digest in hashes.items()]
    return "".join(sorted(lines, key=lambda line: line[64:]))


def read_list(text: str) -> dict[str, str]:
    """Return the digests in ``text`` by location; malformed lines are ignored."""
    rows = [line.partition("  ") for line in text.splitlines()]
    return {place: digest for digest, _, place in rows if place}


def hash_of(hashes: Mapping[str, str]) -> str:
    """Return one digest of all audio, which does not depend on order or folder."""
    return hashlib.sha256("".join(sorted(hashes.values())).encode()).hexdigest()[:16]


def audio_digest(path: str) -> str:
    """Return the SHA-256 of a file or tar member."""
    with open_audio(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
