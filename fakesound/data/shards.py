"""Many clips in few tars: what a file system, and a store far away, can serve by the million.

A shard is a plain tar as WebDataset has them (Aizman et al. 2019): of each clip the audio,
``00000017.flac``, byte for byte as it was, and ``00000017.json``, its row without the path. Tools
for WebDataset, or tar, read them in sequence. Here the manifest says where in its tar a clip is,
and a crop is one read of one range: the order of training stays a function of seed and epoch,
which a stream with a shuffle buffer cannot give. LitData and Lance serve single clips too, but in
containers of their own that nothing else opens, and each is a large dependency; this needs none.

The same clips give the same bytes: order of the manifest, no times, no owners. A shard is there
whole or not at all, and what was written before a stop is not written again.
"""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fakesound.data.audio import DURATION_TOLERANCE, audio_info, read_audio
from fakesound.data.manifest import Clip, row_of, write_manifest
from fakesound.data.places import HEADER, Place, open_audio
from fakesound.data.pooling import without_lost_twins
from fakesound.errors import InputError
from fakesound.files import Journal, atomic_write, clear_remains

JOURNAL = ".shards.jsonl"
# members of a USTAR archive are no longer
LARGEST = 8 * 2**30 - 1


@dataclass(frozen=True)
class _Shard:
    """What goes into one tar.

    Attributes:
        path: of the tar.
        first: number of its first clip in the manifest.
        clips: in their order.
        sizes: bytes of their audio.
        key: tells whether a tar that is there holds the same.
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
    """Write ``clips`` to shards in ``out`` and their manifest, and return what was left out.

    All audio is decoded first: a run does not do so again with what comes in shards.

    Args:
        clips: with audio in files, shards or at URLs.
        out: folder of ``manifest.jsonl`` and ``shards``.
        shard_bytes: audio in a shard, about; a longer clip has one for itself.
        skip: leaves out audio that cannot be used.
        progress: called with clips done and all.

    Raises:
        InputError: naming audio that cannot be used, unless ``skip``.
    """
    out = out.resolve()
    folder = out / "shards"
    folder.mkdir(parents=True, exist_ok=True)
    shards = list(_planned(clips, folder, shard_bytes))
    journal = Journal(out / JOURNAL)
    written = {row["shard"]: row for _, row in journal.entries() if row is not None}
    _remove_others(folder, shards)
    problems: list[str] = []
    kept: list[Clip] = []

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
                kept += _placed(shard, left_out)
                progress(shard.first + len(shard.clips), len(clips))
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    if not kept:
        raise InputError(f"{out}: no clip can be used, first {problems[0]}")
    write_manifest(out / "manifest.jsonl", without_lost_twins(kept))
    return problems


def _planned(clips: Sequence[Clip], folder: Path, shard_bytes: int) -> Iterator[_Shard]:
    """Yield the shards of ``clips``: the next one begins where one would become too long."""
    first, total, number = 0, 0, 0
    held: list[tuple[Clip, int, str]] = []

    def shard() -> _Shard:
        key = hashlib.sha256("\n".join(mark for *_, mark in held).encode()).hexdigest()
        taken, sizes = tuple(clip for clip, *_ in held), tuple(size for _, size, _ in held)
        return _Shard(folder / f"{number:05}.tar", first, taken, sizes, key)

    for place, clip in enumerate(clips):
        size, mark = _size(clip)
        if held and total + size > shard_bytes:
            yield shard()
            first, total, number, held = place, 0, number + 1, []
        held.append((clip, size, f"{mark} {json.dumps(_row(clip), sort_keys=True)}"))
        total += size
    if held:
        yield shard()


def _size(clip: Clip) -> tuple[int, str]:
    """Return the bytes of the audio of a clip, and what changes when they do."""
    path = clip.path
    if isinstance(path, Path):
        if not path.is_file():
            raise InputError(f"{path}: no such file; restore it or drop the row")
        info = path.stat()
        size, mark = info.st_size, f"{path} {info.st_size} {info.st_mtime_ns}"
    else:
        with open_audio(path) as file:
            size = file.seek(0, io.SEEK_END)
        mark = f"{path} {size}"
    if size > LARGEST:
        raise InputError(f"{path}: is longer than a member of a tar can be (8 GiB); cut it")
    return size, mark


def _write(shard: _Shard, skip: bool) -> dict[str, str]:
    """Write one shard and return what is wrong with the audio left out, by clip id."""
    left_out: dict[str, str] = {}
    with (
        atomic_write(shard.path, durable=False) as out,
        tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for number, (clip, size) in enumerate(
            zip(shard.clips, shard.sizes, strict=True), shard.first
        ):
            if problem := _problem(clip):
                if not skip:
                    raise InputError(f"clip {clip.clip_id}: {problem}")
                left_out[clip.clip_id] = problem
                continue
            with open_audio(clip.path) as file:
                tar.addfile(_entry(_name(clip, number), size), file)
            row = _json(clip)
            tar.addfile(_entry(f"{number:08}.json", len(row)), io.BytesIO(row))
    return left_out


def _placed(shard: _Shard, left_out: dict[str, str]) -> Iterator[Clip]:
    """Yield the clips of a shard as they lie in it."""
    offset = 0
    for number, (clip, size) in enumerate(zip(shard.clips, shard.sizes, strict=True), shard.first):
        if clip.clip_id in left_out:
            continue
        offset += HEADER
        yield replace(clip, path=Place(str(shard.path), _name(clip, number), offset, size))
        offset += _padded(size) + HEADER + _padded(len(_json(clip)))


def _problem(clip: Clip) -> str | None:
    """Return what is wrong with the audio of a clip; None if nothing is."""
    try:
        info = audio_info(clip.path)
        read_audio(clip.path, info.sample_rate)
    except InputError as error:
        return str(error)
    if abs(info.duration - clip.duration) > DURATION_TOLERANCE:
        return f"{clip.path}: lasts {info.duration:.3f} s, its row says {clip.duration:.3f} s"
    if info.sample_rate != clip.sample_rate:
        return f"{clip.path}: is at {info.sample_rate} Hz, its row says {clip.sample_rate} Hz"
    return None


def _remove_others(folder: Path, shards: Sequence[_Shard]) -> None:
    """Remove shards of an earlier, longer list, and parts that a kill left behind."""
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
    return f"{number:08}{clip.path.suffix}"


def _row(clip: Clip) -> dict[str, Any]:
    row = row_of(clip, "")
    del row["path"]
    return row


def _json(clip: Clip) -> bytes:
    return json.dumps(_row(clip), ensure_ascii=False).encode()


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
