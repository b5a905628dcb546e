"""Paths in a manifest: relative to its folder, with links followed."""

import os
import posixpath
import stat
from functools import cache, lru_cache
from pathlib import Path

from fakesound.data.location import IN_TAR, RANGE, file_size, is_url, parse_location
from fakesound.data.training_data import moved


class Resolver:
    """Resolve the paths in a manifest; folders, links and the sizes of tars are cached.

    Args:
        folder: path or URL of the folder that holds the manifest.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._real_folder = cache(lambda head: os.path.realpath(os.path.join(folder, head)))
        self._tar = cache(self._file)
        self._size = cache(file_size)

    def locate(self, path: str) -> str:
        """Return the location that a row's ``path`` names, as text.

        Raises:
            InputError: if it is a member that its tar does not have.
        """
        tar, in_tar, member = path.partition(IN_TAR)
        if not in_tar:
            return self._file(path)
        text = f"{self._tar(f'{tar}.tar')}::{member}"
        return text if RANGE.fullmatch(member) else str(parse_location(text))

    def exists(self, text: str) -> bool:
        """Return whether the audio at a location exists; a tar must only be long enough."""
        location = parse_location(text)
        if not location.member:
            return location.is_file()
        length = self._size(location.file)
        return length is not None and location.offset + location.size <= length

    def _file(self, path: str) -> str:
        if is_url(path):
            return path
        if is_url(self.folder):
            scheme, _, start = self.folder.partition("://")
            return f"{scheme}://{posixpath.normpath(f'{start}/{path}')}"
        head, slash, name = path.rpartition("/")
        if name in ("", ".", "..") or (slash and not head):
            return str(Path(self.folder, path).resolve())
        text = f"{self._real_folder(head)}/{name}"
        try:
            linked = stat.S_ISLNK(os.lstat(text).st_mode)
        except OSError:
            return moved(text)
        return os.path.realpath(text) if linked else text


def relative_path(text: str, folder: str) -> str:
    """Return the location ``text`` as a path relative to ``folder``; see `Resolver.locate`."""
    if is_url(text):
        return text
    file, in_tar, member = text.partition(IN_TAR)
    head, _, name = file.rpartition("/")
    # both may be relative to the working folder, so the cache depends on it
    way = _relative_folder(head or ("/" if file.startswith("/") else "."), folder, os.getcwd())
    return f"{name if way == '.' else f'{way}/{name}'}{in_tar}{member}"


@lru_cache(maxsize=4096)
def _relative_folder(head: str, folder: str, _: str) -> str:
    return Path(os.path.relpath(head, folder)).as_posix()
