"""The user's own table of clips: one clip a row, comma or tab separated."""

import csv
import difflib
import io
from collections.abc import Mapping
from pathlib import Path

from fakesound.corpora.listing import (
    LABEL_NAMES,
    SPLIT_NAMES,
    Corpus,
    Listing,
    Row,
    canonical_name,
    read_text,
)
from fakesound.errors import InputError
from fakesound.timeline import Region

LAYOUT = """
TABLE.csv or TABLE.tsv with a header: path, label and, where known, clip_id, source_id, attack,
regions, split, corpus, domain, donor_ids, license
"""
REQUIRED = ("path", "label")
OPTIONAL = (
    *("clip_id", "source_id", "attack", "regions", "split", "corpus"),
    *("domain", "donor_ids", "license"),
)
UNKNOWN_ATTACK = "unknown/unknown"


def read(root: Path) -> Listing:
    """Return the rows of the table ``root``, or of the only table in the folder ``root``.

    Paths are relative to the table. Regions are written "0.5-1.2;3-4" and donors "a;b". The source
    defaults to the stem of the file and the attack of a fake to "unknown/unknown". A fake without
    regions is fake throughout.

    Raises:
        InputError: if there is no table or its header is wrong.
    """
    table = _table(root)
    text = read_text(table)
    delimiter = "\t" if "\t" in text.split("\n", 1)[0] else ","
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        columns = _check_header(list(reader.fieldnames or []), table)
        rows = list(reader)
    except csv.Error as error:
        raise InputError(f"{table} row {reader.line_num}: invalid table ({error})") from None
    listing = Listing()
    unknown = 0
    for number, cells in enumerate(rows, start=2):
        where = f"{table.name} row {number}"
        if None in cells:
            listing.problems.append(f"{where}: has more cells than the header")
            continue
        row = {columns[key]: (value or "").strip() for key, value in cells.items()}
        try:
            listing.rows.append(_row(row, where, table))
        except InputError as error:
            listing.problems.append(f"{where}, {error}")
            continue
        unknown += listing.rows[-1].attack == UNKNOWN_ATTACK
    if unknown:
        listing.remarks.append(f"{unknown} fakes have no attack: set to {UNKNOWN_ATTACK}")
    ignored = [name for name in columns.values() if name not in REQUIRED + OPTIONAL]
    if ignored:
        listing.remarks.append(f"columns not used: {', '.join(ignored)}")
    return listing


def _table(root: Path) -> Path:
    if root.is_file():
        return root
    tables = sorted(path for path in root.iterdir() if path.suffix.lower() in (".csv", ".tsv"))
    if len(tables) != 1:
        raise InputError(f"{root}: holds {len(tables)} tables; name one of them")
    return tables[0]


def _check_header(header: list[str], table: Path) -> dict[str, str]:
    columns = {name: name.strip().lower() for name in header}
    names = list(columns.values())
    for name in REQUIRED:
        if name not in names:
            raise InputError(
                f"{table} row 1: no column {name}; the header must name path and label "
                f"(found: {', '.join(names) or 'none'})"
            )
    if len(set(names)) != len(header):
        raise InputError(f"{table} row 1: a column is named twice")
    for name in names:
        near = difflib.get_close_matches(name, REQUIRED + OPTIONAL, n=1, cutoff=0.8)
        if near and near[0] != name:
            raise InputError(f"{table} row 1, column {name}: unknown; did you mean {near[0]}?")
    return columns


def _row(cells: Mapping[str, str], where: str, table: Path) -> Row:
    if not cells["path"]:
        raise InputError("path: empty; every row needs one")
    path = table.parent / cells["path"]
    label = canonical_name(cells["label"], LABEL_NAMES, "label")
    fake = label == "fake"
    attack = cells.get("attack") or None
    if attack and not all(attack.partition("/")):
        raise InputError(f"attack: {attack!r}; must be family/generator")
    regions = _regions(cells.get("regions", ""))
    return Row(
        where=where,
        clip_id=cells.get("clip_id") or cells["path"],
        path=path,
        source_id=cells.get("source_id") or path.stem,
        label=label,
        corpus=cells.get("corpus") or table.stem,
        attack=attack or (UNKNOWN_ATTACK if fake else None),
        regions=regions or (None if fake else ()),
        split=canonical_name(cells["split"], SPLIT_NAMES, "split") if cells.get("split") else None,
        donor_ids=tuple(d.strip() for d in cells.get("donor_ids", "").split(";") if d.strip()),
        domain=cells.get("domain", ""),
        license=cells.get("license") or None,
    )


def _regions(text: str) -> tuple[Region, ...]:
    try:
        spans = [span.split("-") for span in text.split(";") if span.strip()]
        return tuple(Region(float(onset), float(offset)) for onset, offset in spans)
    except ValueError as error:
        raise InputError(f'regions: {text!r} is not written "0.5-1.2;3-4" ({error})') from None


CSV = Corpus(
    name="csv",
    summary="your own audio, labelled by a table",
    layout=LAYOUT,
    source="your own files",
    card="that of your own files",
    read=read,
    per_folder=True,
)
