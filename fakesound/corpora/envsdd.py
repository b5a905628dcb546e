"""EnvSDD: environmental sound, generated from text or from audio (Yin et al., Interspeech 2025)."""

import csv
from functools import partial
from pathlib import Path, PurePosixPath

from fakesound.corpora.listing import Corpus, Listing, Row, canonical_name, find_folder
from fakesound.errors import InputError

NAME = "envsdd"
LAYOUT = """
datasplit_dev.csv
development/real_audio/DATASET/*.wav
development/fake_audio/{TTA,ATA}/MODEL/DATASET/*.wav
test_metadata.csv
test/audio/*.wav
"""
BASES = (".", "EnvSDD", "released", "EnvSDD/released")
DEVELOPMENT, TEST = "datasplit_dev.csv", "test_metadata.csv"
PARTS: dict[str, tuple[str, ...]] = {"train": ("train",), "validation": ("validation",)}
# generators by kind; the development set has a fake of each for every recording
MODELS = {"TTA": ("audiogen", "audioldm1", "audioldm2"), "ATA": ("audioldm1",)}


def read(root: Path) -> Listing:
    """Return the clips of the tables under ``root``; fakes are fake throughout.

    A fake shares the source of the recording whose caption or audio it was generated from. The
    domain is the data set of that recording. Columns are read by position, as in the authors' code.

    Raises:
        InputError: if no table is found.
    """
    base = find_folder(root, BASES, (DEVELOPMENT, TEST), LAYOUT)
    listing = Listing()
    tables = ((DEVELOPMENT, _development, base / "development"), (TEST, _test, base / "test/audio"))
    for table, parse, folder in tables:
        below_header = list(listing.lines(base / table))[1:]
        listing.add(below_header, partial(parse, folder=folder))
    return listing


def _cells(line: str, least: int) -> list[str]:
    """Return the cells of a row; raise an error for fewer than ``least``."""
    (cells,) = csv.reader([line])
    if len(cells) < least:
        raise InputError(f"cells: found {len(cells)}; a row has {least} or more")
    return [cell.strip() for cell in cells]


def _development(line: str, where: str, folder: Path) -> list[Row]:
    name, dataset, *_, usage = _cells(line, 3)
    split, source = canonical_name(usage, PARTS, "usage"), f"{dataset}/{PurePosixPath(name).stem}"
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
        raise InputError(f"generator: {generator!r}, type: {kind!r}; a fake needs both")
    clip_id, source = (
        f"{prefix}/{PurePosixPath(file).stem}"
        for prefix, file in (("test", name), (dataset, original))
    )
    return _row(where, clip_id, folder / name, attack, source, "test")


def _row(where: str, clip_id: str, path: Path, attack: str | None, source: str, split: str) -> Row:
    """Return a row of the recording ``source``, named DATASET/RECORDING."""
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
    summary="environmental sound generated from captions or audio; test has unseen generators",
    layout=LAYOUT,
    source="https://zenodo.org/records/15220951 (development), "
    "https://zenodo.org/records/15241138 (test); tables: https://github.com/apple-yinhan/EnvSDD",
    card="licence in the records. Cite: Yin et al., EnvSDD: Benchmarking Environmental Sound "
    "Deepfake Detection, Interspeech 2025",
    read=read,
)
