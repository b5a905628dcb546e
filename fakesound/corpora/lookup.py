"""Where the audio of a data set lies, though it was unpacked some other way than listed."""

import os
from collections.abc import Iterable
from itertools import product
from pathlib import Path


def locate(bases: Iterable[Path], listed: str) -> Path | None:
    """Return the file that a data set lists as ``listed``, or None.

    Leading folders may be missing below a base, and a folder may be doubled in the list
    (``audio/audio``) but not on disk. The folder that holds the file always counts: files of the
    same name lie in several.
    """
    parts = Path(listed).parts
    single = tuple(part for i, part in enumerate(parts) if i == 0 or part != parts[i - 1])
    for base, known in product(bases, dict.fromkeys((parts, single))):
        for skipped in range(max(1, len(known) - 1)):
            path = base.joinpath(*known[skipped:])
            if path.is_file():
                return path
    return None


def audio_under(root: Path) -> list[Path]:
    """Return the audio files under ``root``, sorted; linked folders are followed once."""
    # with scipy behind it, too slow to import for what only checks arguments
    from fakesound.data.audio import SUFFIXES

    found = []
    seen = {root.resolve()}
    for folder, folders, names in os.walk(root, followlinks=True):
        targets = {name: (Path(folder) / name).resolve() for name in sorted(folders)}
        folders[:] = [name for name, target in targets.items() if target not in seen]
        seen.update(targets.values())
        found += [
            Path(folder) / name
            for name in names
            if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
        ]
    return sorted(found)
