"""The recordings that the user named: files, folders, standard input."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fakesound.data.audio import SUFFIXES, audio_files
from fakesound.errors import InputError

STANDARD_INPUT = "-"


@contextmanager
def named_files(named: Sequence[str]) -> Iterator[list[tuple[str, Path]]]:
    """Yield the name and the path of each file, in the order given, each once.

    A folder stands for the audio in it, "-" for standard input, which is copied to a temporary
    file.

    Raises:
        InputError: for a folder without audio.
    """
    with tempfile.TemporaryDirectory(prefix="fakesound-") as place:
        files: dict[str, Path] = {}
        for name in named:
            if name == STANDARD_INPUT:
                kept = Path(place, "standard_input")
                kept.write_bytes(sys.stdin.buffer.read())
                files[name] = kept
            elif Path(name).is_dir():
                found = audio_files(Path(name))
                if not found:
                    raise InputError(f"{name}: holds no audio ({', '.join(SUFFIXES)})")
                files |= {str(path): path for path in found}
            else:
                files[name] = Path(name)
        yield list(files.items())
