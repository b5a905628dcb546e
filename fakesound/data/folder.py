"""Names in a manifest to places and back: relative to its folder, links followed, millions of them.

Folders and tars are looked at once and remembered, files one by one.
"""

import os
import posixpath
import re
import stat
from functools import lru_cache
from pathlib import Path

from fakesound.data.places import IN_TAR, file_size, is_url, place

_SPAN = re.compile(r".+@(\d+)\+(\d+)", re.DOTALL)


class Folder:
    """The folder of a manifest, or the URL of one.

    Attributes:
        same: strings by themselves, to keep one of those that are equal.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.same: dict[str, str] = {}
        self._folders: dict[str, str] = {}
        self._tars: dict[str, str] = {}
        self._sizes: dict[str, int] = {}
        self._last: tuple[str, str, int] | None = None

    def locate(self, path: str) -> str:
        """Return as text where ``path`` is, links followed.

        Raises:
            InputError: if it is a member that its tar does not have.
        """
        tar, in_tar, member = path.partition(IN_TAR)
        if not in_tar:
            return self._file(path)
        if tar not in self._tars:
            self._tars[tar] = self._file(f"{tar}.tar")
        text = f"{self._tars[tar]}::{member}"
        span = _SPAN.fullmatch(member)
        if span is None:
            return str(place(text))
        # what was just located is asked for next
        self._last = (text, self._tars[tar], int(span[1]) + int(span[2]))
        return text

    def holds(self, text: str) -> bool:
        """Return whether what `locate` found is there; of a member, whether its tar is so long."""
        if self._last is not None and self._last[0] is text:
            _, file, end = self._last
            return end <= self._size(file)
        file, in_tar, member = text.partition(IN_TAR)
        if not in_tar:
            return place(text).is_file() if is_url(text) else os.path.isfile(text)
        span = _SPAN.fullmatch(member)
        return span is not None and int(span[1]) + int(span[2]) <= self._size(f"{file}.tar")

    def _size(self, file: str) -> int:
        if file not in self._sizes:
            size = file_size(file)
            self._sizes[file] = -1 if size is None else size
        return self._sizes[file]

    def _file(self, path: str) -> str:
        if is_url(path):
            return path
        if is_url(self.folder):
            scheme, _, start = self.folder.partition("://")
            return f"{scheme}://{posixpath.normpath(f'{start}/{path}')}"
        head, slash, name = path.rpartition("/")
        if name in ("", ".", "..") or (slash and not head):
            return str(Path(self.folder, path).resolve())
        if head not in self._folders:
            self._folders[head] = os.path.realpath(os.path.join(self.folder, head))
        text = f"{self._folders[head]}/{name}"
        try:
            linked = stat.S_ISLNK(os.lstat(text).st_mode)
        except OSError:
            return text
        return os.path.realpath(text) if linked else text


def relative(text: str, folder: str) -> str:
    """Return what a manifest in ``folder`` calls the place ``text``; `Folder.locate` undoes it."""
    if is_url(text):
        return text
    file, in_tar, member = text.partition(IN_TAR)
    head, _, name = file.rpartition("/")
    # the working folder is part of what is remembered: both may be relative to it
    place_of = _relative(head or ("/" if file.startswith("/") else "."), folder, os.getcwd())
    return f"{name if place_of == '.' else f'{place_of}/{name}'}{in_tar}{member}"


@lru_cache(maxsize=4096)
def _relative(head: str, folder: str, _: str) -> str:
    return Path(os.path.relpath(head, folder)).as_posix()
