"""Write shards: millions of clips in a few tars, for file systems and remote stores.

A shard is a plain tar in the WebDataset layout (Aizman et al. 2019): for each clip its unchanged
audio, ``00000017.flac``, and its row without the path, ``00000017.json``. WebDataset tools, or tar,
read them in sequence. Here the manifest holds the position of each clip in its tar, so that a crop
is one range request and the order of training stays a function of seed and epoch, unlike with a
shuffle buffer. LitData and Lance also read single clips, but from formats of their own, and each is
a large dependency.

The same clips give the same bytes: members are in the order of the manifest, without times and
owners. A shard is complete or absent, and complete ones are not written again.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fakesound.clip import Clip
from fakesound.data.audio import AudioInfo, check_audio, decode
from fakesound.data.location import HEADER, Location, file_state, open_audio, parse_location
from fakesound.data.manifest import row_of, write_manifest
from fakesound.data.merge import without_lost_twins
from fakesound.errors import InputError
from fakesound.files import Journal, atomic_write, clear_remains, json_bytes

JOURNAL = ".shards.jsonl"
# largest member of a USTAR archive
LARGEST = 8 * 2**30 - 1


@dataclass(frozen=True)
class _Shard:
    """Content of one tar.

    Attributes:
        path: path of the tar.
        first: number of its first clip in the manifest.
        clips: clips in their order.
        sizes: sizes of their audio in bytes.
        key: digest of the content, which identifies a tar written before.
    """

    path: Path
    first: int
    clips: tuple[Clip, ...]
    sizes: tuple[int, ...]
    key: str


def write_shards(
    clips: Sequence[Clip],
    out: Path,
    shard_bytes: int,
    skip: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Write ``clips`` to shards in ``out`` with a manifest; return the errors of skipped clips.

    All audio is decoded first, so that a run need not check it again.

    Args:
        clips: clips with audio in files, shards or at URLs.
        out: folder of ``manifest.jsonl`` and ``shards``.
        shard_bytes: approximate size of a shard; a longer clip gets its own shard.
        skip: whether clips with unusable audio are skipped.
        progress: function called with the number of clips done and of all.

    Raises:
        InputError: naming unusable audio, unless ``skip``.
    """
    out = out.resolve()
    folder = out / "shards"
    folder.mkdir(parents=True, exist_ok=True)
    shards = list(_planned(clips, folder, shard_bytes))
    journal = Journal(out / JOURNAL)
    written = {row["shard"]: row for _, row in journal.entries() if row is not None}
    _remove_others(folder, shards)
    problems: list[str] = []
    written_clips: list[Clip] = []

    def done(shard: _Shard) -> dict[str, str]:
        before = written.get(shard.path.name)
        same = before is not None and before["key"] == shard.key and shard.path.is_file()
        if before is not None and same and (skip or not before["left_out"]):
            return before["left_out"]
        return _write(shard, skip)

    with ThreadPoolExecutor(os.cpu_count()) as threads:
        try:
            for shard, left_out in zip(shards, threads.map(done, shards), strict=True):
                line = {"shard": shard.path.name, "key": shard.key, "left_out": left_out}
                if written.get(shard.path.name) != line:
                    journal.append(line)
                problems += left_out.values()
                written_clips += _clips_in(shard, left_out)
                progress(shard.first + len(shard.clips), len(clips))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    if not written_clips:
        raise InputError(f"{out}: no clip can be used; first error: {problems[0]}")
    write_manifest(out / "manifest.jsonl", without_lost_twins(written_clips))
    return problems


def _planned(clips: Sequence[Clip], folder: Path, shard_bytes: int) -> Iterator[_Shard]:
    """Divide ``clips`` into shards of up to ``shard_bytes``."""
    first, total, number = 0, 0, 0
    members: list[tuple[Clip, int, str]] = []

    def shard() -> _Shard:
        key = hashlib.sha256(os.fsencode("\n".join(mark for *_, mark in members))).hexdigest()
        own, sizes = tuple(clip for clip, *_ in members), tuple(size for _, size, _ in members)
        return _Shard(folder / f"{number:05}.tar", first, own, sizes, key)

    for index, clip in enumerate(clips):
        size, mark = _size(clip)
        if members and total + size > shard_bytes:
            yield shard()
            first, total, number, members = index, 0, number + 1, []
        members.append((clip, size, f"{mark} {json.dumps(_row(clip), sort_keys=True)}"))
        total += size
    if members:
        yield shard()


def _size(clip: Clip) -> tuple[int, str]:
    """Return the size of a clip's audio in bytes, and a text that changes when the file does."""
    location = parse_location(clip.location)
    if location.local is not None:
        if not location.local.is_file():
            raise InputError(f"{location}: no such file; restore it or remove the row")
        size, changed = file_state(location) or (0, 0)
        mark = f"{location} {size} {changed}"
    else:
        with open_audio(location) as file:
            size = file.seek(0, io.SEEK_END)
        mark = f"{location} {size}"
    if size > LARGEST:
        raise InputError(f"{location}: is too long for a member of a tar (8 GiB); cut it")
    return size, mark


def _write(shard: _Shard, skip: bool) -> dict[str, str]:
    """Write one shard and return the errors of skipped audio, by clip id."""
    left_out: dict[str, str] = {}
    with (
        atomic_write(shard.path, durable=False) as out,
        tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for number, (clip, size) in enumerate(
            zip(shard.clips, shard.sizes, strict=True), shard.first
        ):
            if problem := audio_error(clip):
                if not skip:
                    raise InputError(f"clip {clip.clip_id}: {problem}")
                left_out[clip.clip_id] = problem
                continue
            with open_audio(clip.location) as file:
                tar.addfile(_entry(_name(clip, number), size), file)
            row = _json(clip)
            tar.addfile(_entry(f"{number:08}.json", len(row)), io.BytesIO(row))
    return left_out


def _clips_in(shard: _Shard, left_out: dict[str, str]) -> Iterator[Clip]:
    """Yield the clips of a shard with their new locations."""
    offset = 0
    for number, (clip, size) in enumerate(zip(shard.clips, shard.sizes, strict=True), shard.first):
        if clip.clip_id in left_out:
            continue
        offset += HEADER
        location = Location(str(shard.path), _name(clip, number), offset, size)
        yield replace(clip, location=str(location))
        offset += _padded(size) + HEADER + _padded(len(_json(clip)))


def audio_error(clip: Clip, read: Callable[[str], AudioInfo] = decode) -> str | None:
    """Return the error of a clip's audio; None if it can be decoded and agrees with its row.

    Args:
        clip: clip of a manifest.
        read: function that decodes the audio at a location.
    """
    try:
        info = read(clip.location)
        check_audio(clip, info.duration, info.sample_rate)
    except InputError as error:
        return str(error)
    return None


def _remove_others(folder: Path, shards: Sequence[_Shard]) -> None:
    """Remove shards of an earlier, longer list, and temporary files of a killed process."""
    clear_remains(folder)
    names = {shard.path.name for shard in shards}
    for path in folder.glob("[0-9]*.tar"):
        if path.name not in names:
            path.unlink()


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)  # owner, group and time are 0
    entry.size, entry.mode = size, 0o644
    return entry


def _name(clip: Clip, number: int) -> str:
    return f"{number:08}{parse_location(clip.location).suffix}"


def _row(clip: Clip) -> dict[str, Any]:
    row = row_of(clip, "")
    del row["path"]
    return row


def _json(clip: Clip) -> bytes:
    return json_bytes(_row(clip))


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
