"""Find the audio of a data set that was unpacked in another way than it is listed."""

from collections.abc import Iterable
from itertools import product
from pathlib import Path


def locate(bases: Iterable[Path], listed: str) -> Path | None:
    """Find the file that a data set lists as ``listed``; None if there is none.

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
