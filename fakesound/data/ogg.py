"""Find consecutive streams in Ogg files, and streams without an end."""

import io
from typing import BinaryIO, NamedTuple

MARK = b"OggS"
HEADER = 27
FIRST, LAST = 2, 4  # flags of the first and the last page of a stream


class Pages(NamedTuple):
    """Structure of an Ogg file.

    Attributes:
        links: first byte of each consecutive stream.
        ended: whether the last page ends its stream.
    """

    links: tuple[int, ...]
    ended: bool


def read_pages(file: BinaryIO) -> Pages:
    """Return the streams of an Ogg file; damaged parts are skipped."""
    end = file.seek(0, io.SEEK_END)
    position, links, ended, opening = 0, [], False, False
    while position + HEADER <= end:
        file.seek(position)
        header = file.read(HEADER)
        if header[:4] != MARK:
            found = _next(file, position + 1)
            if found is None:
                break
            position = found
            continue
        flags, count = header[5], header[26]
        # parallel streams, as in a film, begin with adjacent first pages
        if flags & FIRST and not opening:
            links.append(position)
        opening = bool(flags & FIRST)
        position += HEADER + count + sum(file.read(count))
        ended = bool(flags & LAST) and position <= end
    return Pages(tuple(links), ended)


def _next(file: BinaryIO, position: int) -> int | None:
    """Return the first byte of the next page from ``position`` on; None for no page."""
    file.seek(position)
    kept = b""
    while part := file.read(65_536):
        at = (kept + part).find(MARK)
        if at >= 0:
            return position - len(kept) + at
        position += len(part)
        kept = (kept + part)[-3:]
    return None
