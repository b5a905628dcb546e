"""Read and write manifests: JSON Lines with one clip per row, validated on reading.

The schema of a row is `fakesound.clip.Clip`; unknown keys are kept in ``extra``. ``path`` is
relative to the manifest and may name a member of a tar, ``00012.tar::00024001.flac@1536+40212``
(see `fakesound.data.location`), or a URL; the manifest itself may be at a URL. A manifest may have
millions of rows.
"""

import gc
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from sys import intern
from typing import Any

import msgspec
from msgspec.structs import force_setattr

from fakesound.clip import LABELS, SPLITS, Clip
from fakesound.data.location import AnyLocation, Location, open_audio, parse_location
from fakesound.data.manifest_paths import Resolver, relative_path
from fakesound.errors import InputError, field_error, unicode_name
from fakesound.files import atomic_write, json_bytes

__all__ = [
    "LABELS",
    "SPLITS",
    "Clip",
    "clip_row",
    "manifest_hash",
    "read_locations",
    "read_manifest",
    "read_rows",
    "row_of",
    "write_manifest",
]

_decode = msgspec.json.Decoder(Clip).decode
_KEYS = {field.encode_name for field in msgspec.structs.fields(Clip)} - {""}
# null stands for the default
_NULLABLE = ("donor_ids", "domain", "subsets")
# fields whose text many rows share; one copy is kept
_SHARED = ("source_id", "attack", "corpus", "domain", "twin_id", "license", "decoder")
_CHOICES = {"label": LABELS, "split": ("null", *SPLITS)}


def read_manifest(path: AnyLocation, check_files: bool = True) -> list[Clip]:
    """Read the clips of a manifest.

    Args:
        path: path or URL of the manifest.
        check_files: whether the audio of every row must exist.

    Raises:
        InputError: for the first error, naming the manifest, the row, the field and the fix.
    """
    location = parse_location(path)
    if not location.is_file():
        raise InputError(f"{path}: no such manifest; give the path of a manifest.jsonl")
    clips: list[Clip] = []
    numbers: dict[str, int] = {}
    resolver, plain = Resolver(location.folder), True
    with _without_gc():
        for number, line in _lines(location):
            clip = _plain_clip(line) if plain else None
            if clip is None:
                if not line.strip():
                    continue
                where = f"{path} row {number}"
                clip = _checked_clip(_parsed(line, where), where)
                # later rows will probably have unknown keys as well
                plain = not clip.extra
            if numbers.setdefault(clip.clip_id, number) != number:
                raise InputError(
                    f"{path} row {number}, clip_id: {clip.clip_id!r} is also in row "
                    f"{numbers[clip.clip_id]}; make it unique"
                )
            try:
                _resolve(clip, resolver)
            except InputError as error:
                raise InputError(f"{path} row {number}, path: {error}") from None
            if check_files and not resolver.exists(clip.location):
                raise InputError(
                    f"{path} row {number}, path: {clip.location} does not exist; restore it or "
                    "remove the row"
                )
            clips.append(clip)
        if not clips:
            raise InputError(f"{path}: has no rows; a manifest holds one JSON object per line")
        _check_twins(clips, numbers, path)
    return clips


def read_locations(path: AnyLocation) -> Iterator[str]:
    """Yield the location of each row of a manifest; no key but ``path`` is read.

    Raises:
        InputError: for the first error, naming the manifest, the row, the field and the fix.
    """
    location = parse_location(path)
    resolver = Resolver(location.folder)
    for number, line in _lines(location):
        if not line.strip():
            continue
        where = f"{path} row {number}"
        named = _parsed(line, where).get("path")
        if not isinstance(named, str) or not named:
            raise InputError(f"{where}, path: {named!r} is not a path; name the audio file")
        yield resolver.locate(named)


def read_rows(rows: Iterable[dict[str, Any]], folder: Path, name: str) -> list[Clip]:
    """Return the clips of parsed rows.

    Args:
        rows: rows as in a manifest.
        folder: folder that paths are relative to.
        name: name of the rows' origin, for error messages.

    Raises:
        InputError: naming ``name``, the clip, the field and the fix.
    """
    resolver = Resolver(str(folder))
    clips = [_checked_clip(row, f"{name} clip {row.get('clip_id')}") for row in rows]
    for clip in clips:
        _resolve(clip, resolver)
    return clips


def write_manifest(path: Path, clips: Iterable[Clip]) -> None:
    """Write ``clips`` to the manifest ``path``, atomically."""
    with atomic_write(path, durable=False) as file:
        for clip in clips:
            row = clip_row(clip, path.parent)
            file.write(json_bytes(row) + b"\n")


def clip_row(clip: Clip, folder: Path) -> dict[str, Any]:
    """Return the row of ``clip`` for a manifest in ``folder``."""
    return row_of(clip, relative_path(clip.location, str(folder)))


def row_of(clip: Clip, path: str) -> dict[str, Any]:
    """Return the row of ``clip`` with ``path`` as its path."""
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
    return row | clip.extra


def manifest_hash(clips: Sequence[Clip]) -> str:
    """Return a digest of the rows, which does not depend on their order or folder."""
    rows = sorted(
        json.dumps(row_of(clip, parse_location(clip.location).name), sort_keys=True)
        for clip in clips
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def _plain_clip(line: str) -> Clip | None:
    """Return the clip of a row, decoded quickly; None for a row with unknown keys or errors."""
    try:
        return _decode(line)
    except msgspec.MsgspecError:
        return None


def _parsed(line: str, where: str) -> dict[str, Any]:
    try:
        row = msgspec.json.decode(line)
    except msgspec.MsgspecError:
        try:
            # also reads NaN, so that the error names its field, and names that are not UTF-8
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(f"{where}: not JSON ({error.msg}); one object per line") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: not a JSON object; one object per line")
    for key, value in row.items():
        # only the file keeps its bytes
        if isinstance(value, str) and key != "path":
            row[key] = unicode_name(value)
    return row


def _checked_clip(row: dict[str, Any], where: str) -> Clip:
    """Return the clip of ``row``, which may have unknown keys and nulls; ``row`` is emptied."""
    extra = {key: row.pop(key) for key in list(row) if key not in _KEYS}
    for key in _NULLABLE:
        if row.get(key, "") is None:
            del row[key]
    try:
        clip = msgspec.convert(row, Clip)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}, {field_error(error, row, _CHOICES)}") from None
    if extra:
        force_setattr(clip, "extra", extra)
    return clip


def _resolve(clip: Clip, resolver: Resolver) -> None:
    force_setattr(clip, "location", resolver.locate(clip.location))
    for name in _SHARED:
        if text := getattr(clip, name):
            force_setattr(clip, name, intern(text))


@contextmanager
def _without_gc() -> Iterator[None]:
    """Disable the cyclic garbage collector while millions of objects are made."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _lines(location: Location) -> Iterator[tuple[int, str]]:
    """Yield the number and text of each line."""
    try:
        # not splitlines, since text may contain Unicode line separators
        with open_audio(location) as file, io.TextIOWrapper(file, encoding="utf-8") as lines:
            yield from enumerate(lines, start=1)
    except UnicodeDecodeError as error:
        raise InputError(f"{location}: not UTF-8 text ({error.reason}); save it as UTF-8") from None


def _check_twins(clips: Sequence[Clip], numbers: Mapping[str, int], path: AnyLocation) -> None:
    genuine = {clip.clip_id: clip.source_id for clip in clips if clip.label == "genuine"}
    for clip in clips:
        if clip.twin_id is not None and genuine.get(clip.twin_id) != clip.source_id:
            raise InputError(
                f"{path} row {numbers[clip.clip_id]}, twin_id: {clip.twin_id!r} is not a genuine "
                "clip of the same source; add its row or remove the key"
            )
