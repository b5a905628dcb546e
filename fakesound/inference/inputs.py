"""The recordings that the user named: files, folders, pipes, standard input."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fakesound.data.folders import CONTAINERS, SUFFIXES, audio_files
from fakesound.errors import InputError

STANDARD_INPUT = "-"


@contextmanager
def named_files(named: Sequence[str]) -> Iterator[list[tuple[str, Path]]]:
    """Yield the name and the path of each file, in the order given, each once.

    A folder stands for the audio in it (see `fakesound.data.folders.audio_files`). Standard input
    ("-") and pipes can be read only once, so they are copied to temporary files.

    Raises:
        InputError: for a folder without audio, or standard input that is a terminal.
    """
    with tempfile.TemporaryDirectory(prefix="fakesound-") as place:
        files: dict[str, Path] = {}
        for number, name in enumerate(named):
            path, kept = Path(name), Path(place, f"pipe{number}")
            if name in files:
                continue
            if name == STANDARD_INPUT:
                if sys.stdin.isatty():
                    raise InputError("-: standard input is a terminal; send audio through a pipe")
                files[name] = _kept(sys.stdin.buffer, kept)
            elif path.is_dir():
                found = audio_files(path)
                if not found:
                    known = ", ".join((*SUFFIXES, *CONTAINERS))
                    raise InputError(f"{name}: holds no audio ({known})")
                files |= {str(one): one for one in found}
            elif path.is_fifo() or path.is_char_device():
                with path.open("rb") as pipe:
                    files[name] = _kept(pipe, kept)
            else:
                files[name] = path
        yield list(files.items())


def _kept(source: BinaryIO, path: Path) -> Path:
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)
    return path
