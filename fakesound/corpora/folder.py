"""The user's own folders of audio: genuine/ and fake/FAMILY/GENERATOR/."""

import json
from collections import Counter
from pathlib import Path

import msgspec

from fakesound.corpora.listing import LABEL_NAMES, SPLIT_NAMES, Corpus, Listing, Row, canonical_name
from fakesound.errors import InputError, field_error, unicode_name
from fakesound.timeline import Region

LAYOUT = """
genuine/**/*.wav (or real, bonafide, bona-fide)
fake/FAMILY/GENERATOR/**/*.wav (or spoof)
"""


class _Sidecar(msgspec.Struct, forbid_unknown_fields=True):
    """Schema of a file ``NAME.json`` beside ``NAME.wav``."""

    regions: tuple[Region, ...] | None = None
    source_id: str | None = None
    split: str | None = None
    donor_ids: tuple[str, ...] = ()
    license: str | None = None


def read(root: Path) -> Listing:
    """Return the audio files under ``root``, labelled only by their folders.

    Files with the same stem share a source, so that no split separates a fake from its original.
    A file ``NAME.json`` beside ``NAME.wav`` may add labels: ``{"regions": [[0.5, 1.2]],
    "source_id": ..., "split": ..., "donor_ids": [...], "license": ...}``. A fake without regions
    is fake throughout.

    Raises:
        InputError: if neither folder is found.
    """
    folders = [(label, folder) for folder in sorted(root.iterdir()) if (label := _label(folder))]
    if not folders:
        shown = "; ".join(LAYOUT.strip().splitlines())
        raise InputError(f"{root}: no folder of genuine or fake audio; expected {shown}")
    # imports scipy, which is slow; arguments are checked before
    from fakesound.data.folders import audio_files

    listing = Listing()
    for label, folder in folders:
        for path in audio_files(folder):
            where = path.relative_to(root).as_posix()
            try:
                listing.rows.append(
                    _row(path, folder, label, where, unicode_name(root.resolve().name))
                )
            except InputError as error:
                listing.problems.append(f"{where}, {error}")
    count = Counter(row.source_id for row in listing.rows)
    shared = sum(number > 1 for number in count.values())
    if shared:
        listing.remarks.append(f"{shared} sources have several files (of equal names)")
    return listing


def _label(folder: Path) -> str | None:
    try:
        return canonical_name(folder.name, LABEL_NAMES, "folder") if folder.is_dir() else None
    except InputError:
        return None


def _row(path: Path, folder: Path, label: str, where: str, corpus: str) -> Row:
    attack = None
    if label == "fake":
        family, *rest = path.relative_to(folder).parts[:-1] or [""]
        if not rest:
            place = f"{folder.name}/FAMILY/GENERATOR/, such as {folder.name}/unknown/unknown/"
            raise InputError(f"attack: unknown; move the file to {place}")
        attack = f"{family}/{rest[0]}"
    sidecar = _sidecar(path.with_suffix(".json"))
    regions = sidecar.regions
    if regions is None and label == "genuine":
        regions = ()
    return Row(
        where=where,
        clip_id=unicode_name(where),
        path=path,
        source_id=sidecar.source_id or unicode_name(path.stem),
        label=label,
        corpus=corpus,
        attack=attack,
        regions=regions,
        split=canonical_name(sidecar.split, SPLIT_NAMES, "split") if sidecar.split else None,
        donor_ids=sidecar.donor_ids,
        license=sidecar.license,
    )


def _sidecar(path: Path) -> _Sidecar:
    if not path.is_file():
        return _Sidecar()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise InputError(f"{path.name}: not JSON") from None
    if not isinstance(content, dict):
        raise InputError(f"{path.name}: not a JSON object")
    try:
        return msgspec.convert(content, _Sidecar)
    except msgspec.ValidationError as error:
        raise InputError(f"{path.name}, {field_error(error, content, {})}") from None


FOLDER = Corpus(
    name="folder",
    summary="your own audio, labelled by its folders",
    layout=LAYOUT,
    source="your own files",
    card="that of your own files",
    read=read,
    per_folder=True,
)
