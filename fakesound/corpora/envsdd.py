"""EnvSDD: environmental sound, generated from text or from audio (Yin et al., Interspeech 2025)."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from fakesound.corpora.listing import (
    Corpus,
    Listing,
    Row,
    find_folder,
    named,
    read_text,
)
from fakesound.errors import InputError

NAME = "envsdd"
LAYOUT = """
datasplit_dev.csv
development/real_audio/DATASET/*.wav
development/fake_audio/{TTA,ATA}/MODEL/DATASET/*.wav
test_metadata.csv
test/audio/*.wav
"""
PLACES = (".", "EnvSDD", "released", "EnvSDD/released")
DEVELOPMENT, TEST = "datasplit_dev.csv", "test_metadata.csv"
PARTS: dict[str, tuple[str, ...]] = {"train": ("train",), "validation": ("validation",)}
# what the development set has of every recording
MODELS = {"TTA": ("audiogen", "audioldm1", "audioldm2"), "ATA": ("audioldm1",)}


def read(root: Path) -> Listing:
    """Return what the tables under ``root`` list; fakes are fake throughout.

    A fake and the recording it was generated from, by caption or audio, share a source. Their data
    set is the domain. Columns count by their place, as in the code of the data set.

    Raises:
        InputError: if there is no table.
    """
    base = find_folder(root, PLACES, (DEVELOPMENT, TEST), LAYOUT)
    listing = Listing()
    for where, cells in _cells(base / DEVELOPMENT, 3, listing):
        try:
            listing.rows += _development(cells, where, base / "development")
        except InputError as error:
            listing.problems.append(f"{where}, {error}")
    for where, cells in _cells(base / TEST, 5, listing):
        try:
            listing.rows.append(_test(cells, where, base / "test" / "audio"))
        except InputError as error:
            listing.problems.append(f"{where}, {error}")
    return listing


def _cells(path: Path, least: int, listing: Listing) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of a table below its header that have at least so many cells."""
    if not path.is_file():
        listing.remarks.append(f"{path}: not there, so its clips are left out")
        return
    rows = csv.reader(read_text(path).splitlines())
    for number, cells in enumerate(rows, start=1):
        if number == 1 or not cells:
            continue
        where = f"{path.name} row {number}"
        if len(cells) < least:
            listing.problems.append(f"{where}: {len(cells)} cells; a row has {least} or more")
        else:
            yield where, [cell.strip() for cell in cells]


def _development(cells: list[str], where: str, folder: Path) -> list[Row]:
    name, dataset, usage = cells[0], cells[1], cells[-1]
    split = named(usage, PARTS, "usage")
    stem = PurePosixPath(name).stem
    made = [_row(where, f"{dataset}/{stem}", folder / "real_audio" / dataset / name)]
    for kind, models in MODELS.items():
        made += [
            _row(
                where,
                f"{kind.lower()}/{model}/{dataset}/{stem}",
                folder / "fake_audio" / kind / model / dataset / name,
                f"{kind.lower()}/{model}",
            )
            for model in models
        ]
    return [_of(row, f"{dataset}/{stem}", dataset, split) for row in made]


def _test(cells: list[str], where: str, folder: Path) -> Row:
    name, source, dataset, kind, generator = cells[:5]
    attack = None if kind.lower() == "real" else f"{kind.lower()}/{generator}"
    if attack is not None and not all(attack.split("/")):
        raise InputError(f"generator: {generator!r} and type {kind!r}; a fake has both")
    row = _row(where, f"test/{PurePosixPath(name).stem}", folder / name, attack)
    return _of(row, f"{dataset}/{PurePosixPath(source).stem}", dataset, "test")


def _row(where: str, clip_id: str, path: Path, attack: str | None = None) -> Row:
    return Row(
        where=where,
        clip_id=clip_id,
        path=path,
        source_id="",
        label="genuine" if attack is None else "fake",
        corpus=NAME,
        attack=attack,
        regions=() if attack is None else None,
    )


def _of(row: Row, source: str, dataset: str, split: str) -> Row:
    return replace(row, source_id=f"{NAME}/{source}", domain=f"{NAME}/{dataset}", split=split)


ENVSDD = Corpus(
    name=NAME,
    summary="environmental sound generated from captions or from audio, other generators in test",
    layout=LAYOUT,
    source="https://zenodo.org/records/15220951 (development), "
    "https://zenodo.org/records/15241138 (test); tables: https://github.com/apple-yinhan/EnvSDD",
    card="licence in the records. Cite: Yin et al., EnvSDD: Benchmarking Environmental Sound "
    "Deepfake Detection, Interspeech 2025",
    read=read,
)
