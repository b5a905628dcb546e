"""Folders of the user's own: genuine/ and fake/FAMILY/GENERATOR/."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fakesound.corpora.listing import LABEL_NAMES, SPLIT_NAMES, Corpus, Listing, Row, named
from fakesound.corpora.lookup import audio_under
from fakesound.errors import InputError
from fakesound.timeline import Region

LAYOUT = """
genuine/**/*.wav (or real, bonafide, bona-fide)
fake/FAMILY/GENERATOR/**/*.wav (or spoof)
"""
SIDECAR = ("regions", "source_id", "split", "donor_ids", "license")


def read(root: Path) -> Listing:
    """Return the audio files under ``root``, labelled by their folders alone.

    Files of the same stem are one source, so that a fake is never apart from what it was made of.
    A file ``NAME.json`` beside ``NAME.wav`` may say more: ``{"regions": [[0.5, 1.2]], "source_id":
    ..., "split": ..., "donor_ids": [...], "license": ...}``. A fake without regions is fake
    throughout.

    Raises:
        InputError: if neither folder is there.
    """
    folders = [(label, folder) for folder in sorted(root.iterdir()) if (label := _label(folder))]
    if not folders:
        shown = "; ".join(LAYOUT.strip().splitlines())
        raise InputError(f"root={root}: no folder of genuine or fake audio; expected {shown}")
    listing = Listing()
    for label, folder in folders:
        for path in audio_under(folder):
            where = path.relative_to(root).as_posix()
            try:
                listing.rows.append(_row(path, folder, label, where, root.resolve().name))
            except InputError as error:
                listing.problems.append(f"{where}, {error}")
    count = Counter(row.source_id for row in listing.rows)
    shared = sum(number > 1 for number in count.values())
    if shared:
        listing.remarks.append(f"{shared} sources have several files (by equal names)")
    return listing


def _label(folder: Path) -> str | None:
    try:
        return named(folder.name, LABEL_NAMES, "folder") if folder.is_dir() else None
    except InputError:
        return None


def _row(path: Path, folder: Path, label: str, where: str, corpus: str) -> Row:
    attack = None
    if label == "fake":
        family, *rest = path.relative_to(folder).parts[:-1] or [""]
        if not rest:
            raise InputError(f"attack: unknown; move it to {folder.name}/FAMILY/GENERATOR/")
        attack = f"{family}/{rest[0]}"
    known = _sidecar(path.with_suffix(".json"))
    split = _take(known, "split", str, None)
    return Row(
        where=where,
        clip_id=where,
        path=path,
        source_id=_take(known, "source_id", str, path.stem),
        label=label,
        corpus=corpus,
        attack=attack,
        regions=_regions(known, label),
        split=named(split, SPLIT_NAMES, "split") if split else None,
        donor_ids=tuple(str(donor) for donor in _take(known, "donor_ids", list, [])),
        license=_take(known, "license", str, None),
    )


def _sidecar(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{path.name}: not JSON") from None
    if not isinstance(known, dict):
        raise InputError(f"{path.name}: not a JSON object")
    for key in known:
        if key not in SIDECAR:
            raise InputError(f"{path.name}: {key!r} is not one of {', '.join(SIDECAR)}")
    return known


def _take(known: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:  # noqa: ANN401
    value = known.get(key, default)
    if value is not default and not isinstance(value, kind):
        raise InputError(f"{key}: {value!r} is not of type {kind.__name__}")
    return value


def _regions(known: Mapping[str, Any], label: str) -> tuple[Region, ...] | None:
    spans = _take(known, "regions", list, None)
    if spans is None:
        return None if label == "fake" else ()
    try:
        return tuple(Region(float(onset), float(offset)) for onset, offset in spans)
    except (TypeError, ValueError) as error:
        raise InputError(f"regions: {spans!r} is not [[onset, offset], ...] ({error})") from None


FOLDER = Corpus(
    name="folder",
    summary="your own audio, labelled by the folders it lies in",
    layout=LAYOUT,
    source="wherever yours come from",
    card="yours to know",
    read=read,
    per_folder=True,
)
