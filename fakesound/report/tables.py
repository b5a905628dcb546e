"""Write the metrics of a test as CSV tables."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fakesound.files import write_whole

PARTS = ("all", "seen", "unseen")
Row = dict[str, Any]


def write_tables(metrics: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write the metrics of ``metrics.json`` to ``folder/tables``, and return the files.

    There is one file each for test, attack, family, region_length, corpus, subset, localisation,
    robustness and paired, if they have values; each is written atomically. A row has a name, the
    number of clips, and each metric under its key, with its 95 % interval under ``<key>/low`` and
    ``<key>/high``; undefined values are empty.
    """
    test = metrics["test"]
    partition = metrics.get("partition") or {}
    tables: dict[str, list[Row]] = {
        "test": [
            _row({"name": name}, test[name])
            for name in PARTS
            if test.get(name) and test[name].get("clips") != 0
        ],
        "attack": _rows(test.get("attack") or {}),
        **{
            kind: _rows(partition.get(kind) or {})
            for kind in ("family", "region_length", "corpus", "subset")
        },
        "localisation": _rows(metrics.get("localisation") or {}),
        "robustness": list(_robustness(metrics.get("robustness") or {})),
        "paired": list(_paired(metrics.get("paired") or {})),
    }
    written = []
    for name, rows in tables.items():
        if rows:
            written.append(folder / "tables" / f"{name}.csv")
            write_whole(written[-1], to_csv(rows))
    return written


def _rows(blocks: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    return [_row({"name": name}, block) for name, block in blocks.items() if block]


def _row(names: Mapping[str, str], block: Mapping[str, Any]) -> Row:
    """Return a block as flat columns."""
    row: Row = dict(names)
    ends = block.get("ci")
    for key, value in block.items():
        if key == "ci" or isinstance(value, Mapping):
            continue
        row[key] = value
        if ends and key in ends and key != "clips":
            row[f"{key}/low"], row[f"{key}/high"] = ends[key] or (None, None)
    return row


def _robustness(robustness: Mapping[str, Any]) -> Iterator[Row]:
    for condition in robustness.get("conditions", ()):
        for part in PARTS:
            if condition.get(part):
                yield _row({"name": condition["name"], "part": part}, condition[part])


def _paired(paired: Mapping[str, Any]) -> Iterator[Row]:
    for part, figures in paired.get("parts", {}).items():
        for key, entry in figures.items():
            if entry is not None:
                first, second = paired["names"]
                names = {"name": key, "part": part, "name_a": first, "name_b": second}
                yield _row(names, entry)


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return ``rows`` as CSV with a column for each key."""
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
