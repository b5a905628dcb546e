"""Replace the first bytes of a file without copying the rest."""

import io
from typing import Any, BinaryIO


class _Patched(io.RawIOBase):
    """A file that begins with ``head`` and continues with ``file`` from byte ``start`` on."""

    def __init__(self, file: BinaryIO, head: bytes, start: int) -> None:
        self.file, self.head, self.shift = file, head, start - len(head)
        self.size = file.seek(0, io.SEEK_END) - self.shift
        self.position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        self.position = max(0, base + offset)
        return self.position

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401  # any object with a buffer
        part = self.head[self.position : self.position + len(buffer)]
        if not part:
            self.file.seek(self.position + self.shift)
            part = self.file.read(len(buffer))
        buffer[: len(part)] = part
        self.position += len(part)
        return len(part)


def patch_start(file: BinaryIO, head: bytes, start: int) -> BinaryIO:
    """Return a view of ``file`` whose first ``start`` bytes are replaced by ``head``."""
    return io.BufferedReader(_Patched(file, head, start))
