"""EnvSDD: environmental sound, generated from text or from audio (Yin et al., Interspeech 2025)."""

import csv
from functools import partial
from pathlib import Path, PurePosixPath

from fakesound.corpora.listing import Corpus, Listing, Row, find_folder, named
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
    tables = ((DEVELOPMENT, _development, base / "development"), (TEST, _test, base / "test/audio"))
    for table, parse, folder in tables:
        below_header = list(listing.lines(base / table))[1:]
        listing.add(below_header, partial(parse, folder=folder))
    return listing


def _cells(line: str, least: int) -> list[str]:
    """Return the cells of a row, of which there must be at least so many."""
    (cells,) = csv.reader([line])
    if len(cells) < least:
        raise InputError(f"cells: {len(cells)}; a row has {least} or more")
    return [cell.strip() for cell in cells]


def _development(line: str, where: str, folder: Path) -> list[Row]:
    name, dataset, *_, usage = _cells(line, 3)
    split, source = named(usage, PARTS, "usage"), f"{dataset}/{PurePosixPath(name).stem}"
    rows = [_row(where, source, folder / "real_audio" / dataset / name, None, source, split)]
    for kind, models in MODELS.items():
        for model in models:
            attack = f"{kind.lower()}/{model}"
            path = folder / "fake_audio" / kind / model / dataset / name
            rows.append(_row(where, f"{attack}/{source}", path, attack, source, split))
    return rows


def _test(line: str, where: str, folder: Path) -> Row:
    name, original, dataset, kind, generator, *_ = _cells(line, 5)
    attack = None if kind.lower() == "real" else f"{kind.lower()}/{generator}"
    if attack is not None and not all(attack.split("/")):
        raise InputError(f"generator: {generator!r} and type {kind!r}; a fake has both")
    clip_id, source = (
        f"{prefix}/{PurePosixPath(file).stem}"
        for prefix, file in (("test", name), (dataset, original))
    )
    return _row(where, clip_id, folder / name, attack, source, "test")


def _row(where: str, clip_id: str, path: Path, attack: str | None, source: str, split: str) -> Row:
    """Return a row of ``source``, DATASET/RECORDING."""
    return Row(
        where=where,
        clip_id=clip_id,
        path=path,
        source_id=f"{NAME}/{source}",
        label="genuine" if attack is None else "fake",
        corpus=NAME,
        attack=attack,
        regions=() if attack is None else None,
        split=split,
        domain=f"{NAME}/{source.rpartition('/')[0]}",
    )


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
