"""Read-only views of files: requested blocks only, or another start."""

import io
from collections.abc import Callable
from typing import Any, BinaryIO

# the first blocks stay cached, since decoders seek back to the header
BLOCKS_KEPT = 4


class _View(io.RawIOBase):
    """A file of ``size`` bytes; ``part`` returns up to a number of bytes from a position on."""

    def __init__(self, part: Callable[[int, int], bytes], size: int) -> None:
        self.part, self.size, self.position = part, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        self.position = max(0, base + offset)
        return self.position

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # any object with a buffer
        part = self.part(self.position, len(buffer))
        buffer[: len(part)] = part
        self.position += len(part)
        return len(part)


def in_blocks(read: Callable[[int, int], bytes], size: int, block: int) -> BinaryIO:
    """Return a file of ``size`` bytes that reads only the requested blocks.

    Args:
        read: function that returns the bytes between two positions.
        size: length of the file.
        block: length of a block.
    """
    blocks: dict[int, bytes] = {}

    def part(position: int, most: int) -> bytes:
        number, skipped = divmod(position, block)
        if number not in blocks:
            if len(blocks) == BLOCKS_KEPT:
                del blocks[next(reversed(blocks))]
            first = min(number * block, size)
            blocks[number] = read(first, min(first + block, size))
        return blocks[number][skipped : skipped + most]

    return io.BufferedReader(_View(part, size))


def patch_start(file: BinaryIO, head: bytes, start: int) -> BinaryIO:
    """Return a view of ``file`` whose first ``start`` bytes are replaced by ``head``."""
    shift = start - len(head)

    def part(position: int, most: int) -> bytes:
        if position < len(head):
            return head[position : position + most]
        file.seek(position + shift)
        return file.read(most)

    return io.BufferedReader(_View(part, file.seek(0, io.SEEK_END) - shift))
