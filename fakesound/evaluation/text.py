"""Lines of a text file, with their numbers."""

from collections.abc import Iterator
from pathlib import Path

from fakesound.errors import InputError


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, each with its number from 1.

    Raises:
        InputError: naming the file, if it cannot be read as text or has no such line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    empty = True
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            empty = False
            yield number, line
    if empty:
        raise InputError(f"{path}: holds no rows")
