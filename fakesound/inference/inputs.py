"""Find the recordings that the user named: files, folders, manifests, URLs, pipes, stdin."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NoReturn

from fakesound.data.folders import audio_files, is_audio
from fakesound.data.location import Location, files_under, is_url, parse_location
from fakesound.data.manifest import read_locations
from fakesound.errors import InputError

STANDARD_INPUT, MANIFEST = "-", ".jsonl"


@contextmanager
def named_files(named: Sequence[str]) -> Iterator[list[tuple[str, Path | Location]]]:
    """Yield name and path or location of each file, in the given order, without duplicates.

    A folder stands for the audio in it (see `fakesound.data.folders.audio_files`), a manifest for
    the audio of its rows; both may be URLs. Standard input ("-") and pipes can be read only once,
    so they are copied to temporary files.

    Raises:
        InputError: for an empty name, a folder or manifest without audio, a store that cannot be
            read, or a terminal as standard input.
    """
    with tempfile.TemporaryDirectory(prefix="fakesound-") as temporary:
        files: dict[str, Path | Location] = {}
        for number, name in enumerate(named):
            path, copy = Path(name), Path(temporary, f"pipe{number}")
            if name in files:
                continue
            if not name:
                # from an unset shell variable; as a path it would be the current folder
                raise InputError("an empty name; name a file, or . for the current folder")
            if name == STANDARD_INPUT:
                if sys.stdin.isatty():
                    raise InputError("-: standard input is a terminal; send audio through a pipe")
                files[name] = _copied(sys.stdin.buffer, copy)
            elif path.suffix == MANIFEST and (is_url(name) or path.is_file()):
                files |= _located(read_locations(name)) or _no_audio(name)
            elif is_url(name):
                files |= _located(filter(is_audio, files_under(name))) or _no_audio(name)
            elif path.is_dir():
                files |= {str(one): one for one in audio_files(path)} or _no_audio(name)
            elif path.is_fifo() or path.is_char_device():
                with path.open("rb") as pipe:
                    files[name] = _copied(pipe, copy)
            else:
                files[name] = path
        # the same file may be named in several ways
        names: dict[str | Location, str] = {}
        for name, file in files.items():
            key = os.path.abspath(file) if isinstance(file, Path) else file
            names.setdefault(key, name)
        yield [(name, files[name]) for name in names.values()]


def _located(texts: Iterable[str]) -> dict[str, Path | Location]:
    locations = ((text, parse_location(text)) for text in texts)
    return {text: location.local or location for text, location in locations}


def _no_audio(name: str) -> NoReturn:
    if is_url(name) and is_audio(name):
        raise InputError(f"{name}: no such file; check the URL")
    raise InputError(
        f"{name}: no file in it ends in .wav, .flac, .mp3, .m4a or the like; name files without "
        "such an ending one by one"
    )


def _copied(source: BinaryIO, path: Path) -> Path:
    with path.open("wb") as file:
        shutil.copyfileobj(source, file)
    return path
