"""The manifest: one clip a row, JSON Lines, validated on read.

Keys: ``clip_id, path`` (relative to the manifest), ``source_id, label, attack, regions, duration,
sample_rate, corpus, split`` and, where known, ``donor_ids, domain, license, twin_id, subsets,
decoder``.
Further keys are kept in ``extra``. Nothing is ever parsed out of a file name.

``path`` may name a member of a tar, ``00012.tar::00024001.flac@1536+40212`` (see
`fakesound.data.places`), or a URL, and the manifest itself may be at a URL. A manifest may have
millions of rows.
"""

import gc
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fakesound.clip import LABELS, SPLITS, Clip, path_text
from fakesound.data.folder import Folder, relative
from fakesound.data.places import AudioPath, Place, open_audio
from fakesound.data.rows import checked_clip, parsed, plain_clip
from fakesound.errors import InputError
from fakesound.files import atomic_write

__all__ = [
    "LABELS",
    "SPLITS",
    "Clip",
    "clip_row",
    "manifest_hash",
    "read_manifest",
    "read_rows",
    "row_of",
    "write_manifest",
]


def read_manifest(path: AudioPath, check_files: bool = True) -> list[Clip]:
    """Return the clips of the manifest at ``path``.

    Raises:
        InputError: naming the manifest, the row, the field and the mend, for the first thing wrong.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such manifest; give the path of a manifest.jsonl")
    clips: list[Clip] = []
    numbers: dict[str, int] = {}
    folder = Folder(str(path).rpartition("/")[0] if isinstance(path, Place) else str(path.parent))
    with _no_collection(), open_audio(path) as file:
        # not splitlines: a title may hold any other separator of lines that Unicode knows
        lines = io.TextIOWrapper(file, encoding="utf-8")
        for number, line in enumerate(_decoded(lines, path), start=1):
            clip = plain_clip(line, folder)
            if clip is None:
                if not line.strip():
                    continue
                where = f"{path} row {number}"
                clip = checked_clip(parsed(line, where), where, folder)
            if numbers.setdefault(clip.clip_id, number) != number:
                raise InputError(
                    f"{path} row {number}, clip_id: {clip.clip_id!r} is row "
                    f"{numbers[clip.clip_id]} too; make it unique"
                )
            if check_files and not folder.holds(path_text(clip)):
                raise InputError(
                    f"{path} row {number}, path: {clip.path} does not exist; restore it or drop "
                    "the row"
                )
            clips.append(clip)
        if not clips:
            raise InputError(f"{path}: has no rows; a manifest holds one JSON object a line")
        _check_twins(clips, numbers, path)
    return clips


def read_rows(rows: Iterable[dict[str, Any]], folder: Path, name: str) -> list[Clip]:
    """Return the clips of parsed rows whose paths are relative to ``folder``.

    Raises:
        InputError: naming ``name``, the clip, the field and the mend.
    """
    places = Folder(str(folder))
    return [checked_clip(row, f"{name} clip {row.get('clip_id')}", places) for row in rows]


def write_manifest(path: Path, clips: Iterable[Clip]) -> None:
    """Write ``clips`` to ``path`` at once: the file is whole or not there."""
    with atomic_write(path, durable=False) as file:
        for clip in clips:
            row = clip_row(clip, path.parent)
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")


def clip_row(clip: Clip, folder: Path) -> dict[str, Any]:
    """Return the manifest row of ``clip`` in a manifest that lies in ``folder``."""
    return row_of(clip, relative(path_text(clip), str(folder)))


def row_of(clip: Clip, path: str) -> dict[str, Any]:
    """Return the manifest row of ``clip``, whose audio is called ``path`` there."""
    row: dict[str, Any] = {
        "clip_id": clip.clip_id,
        "path": path,
        "source_id": clip.source_id,
        "label": clip.label,
        "attack": clip.attack,
        "regions": [[region.onset, region.offset] for region in clip.regions],
        "duration": clip.duration,
        "sample_rate": clip.sample_rate,
        "corpus": clip.corpus,
        "split": clip.split,
        "domain": clip.domain,
        "license": clip.license,
    }
    if clip.donor_ids:
        row["donor_ids"] = list(clip.donor_ids)
    if clip.twin_id is not None:
        row["twin_id"] = clip.twin_id
    if clip.subsets:
        row["subsets"] = list(clip.subsets)
    if clip.decoder is not None:
        row["decoder"] = clip.decoder
    return row | dict(clip.extra)


def manifest_hash(clips: Sequence[Clip]) -> str:
    """Return a digest of what the clips are, whatever their order and folder."""
    rows = sorted(json.dumps(row_of(clip, clip.path.name), sort_keys=True) for clip in clips)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python from looking for garbage among millions of new objects, of which none is any."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _decoded(lines: Iterable[str], path: AudioPath) -> Iterator[str]:
    try:
        yield from lines
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None


def _check_twins(clips: Sequence[Clip], numbers: Mapping[str, int], path: AudioPath) -> None:
    genuine = {clip.clip_id: clip.source_id for clip in clips if clip.label == "genuine"}
    for clip in clips:
        if clip.twin_id is not None and genuine.get(clip.twin_id) != clip.source_id:
            raise InputError(
                f"{path} row {numbers[clip.clip_id]}, twin_id: {clip.twin_id!r} is no genuine "
                "clip of the same source; add its row or drop the key"
            )
