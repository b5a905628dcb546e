"""Convert detections to JSON, CSV, RTTM and Audacity labels."""

import csv
import io
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from fakesound.errors import shown, unicode_name
from fakesound.files import json_text
from fakesound.inference.detection import Detection, error_row
from fakesound.inference.record import Record


@dataclass(frozen=True)
class Result:
    """Detection of one file, or the error that it raised.

    Attributes:
        path: path as given by the user.
        detection: detection; None if the file could not be read.
        error: error message; None if the file could be read.
    """

    path: str
    detection: Detection | None = None
    error: str | None = None


COLUMNS = (
    "path",
    "verdict",
    "score",
    "kind",
    "regions",
    "duration",
    "attack_family",
    "notes",
    "error",
)


def to_json(results: Sequence[Result], record: Record, frames: bool = False) -> str:
    """Return all results as one JSON object in the format of ``detections.schema.json``.

    Args:
        results: result of each file.
        record: version, model and settings.
        frames: whether to include frame scores.
    """
    return json_text(record.document([plain(result, frames) for result in results]), indent=1)


def to_jsonl(results: Sequence[Result], record: Record, frames: bool = False) -> str:
    """Return one line per file, each a JSON object like that of `to_json`."""
    return "".join(json_text(record.document([plain(result, frames)])) for result in results)


def plain(result: Result, frames: bool = False) -> dict[str, Any]:
    """Return the result of a file as plain values for JSON."""
    path = unicode_name(result.path)
    if result.detection is None:
        return error_row(result.error or "", path)
    return result.detection.to_dict(frames) | {"path": path}


def to_csv(results: Sequence[Result], record: Record) -> str:
    """Return one row per file, with its record.

    Regions are "onset-offset" in seconds, separated by spaces; notes are separated by semicolons.
    """
    columns = ("sha256", *record.columns())
    return _table(results, (*COLUMNS, *columns), record.columns(), ",")


def to_tsv(results: Sequence[Result], header: bool = True) -> str:
    """Return one tab-separated row per file; line breaks and tabs in names are escaped."""
    lines = _table(results, COLUMNS, {}, "\t").splitlines(keepends=True)
    return "".join(lines if header else lines[1:])


def _table(
    results: Sequence[Result], columns: Sequence[str], record: dict[str, Any], delimiter: str
) -> str:
    file = io.StringIO()
    writer = csv.DictWriter(
        file, columns, extrasaction="ignore", delimiter=delimiter, lineterminator="\n"
    )
    writer.writeheader()
    for result in results:
        row = plain(result)
        spans = [f"{r['onset']:.2f}-{r['offset']:.2f}" for r in row["regions"]]
        path = result.path if delimiter == "," else shown(result.path)
        texts = {"path": path, "regions": " ".join(spans), "notes": "; ".join(row["notes"])}
        writer.writerow(row | record | texts)
    return file.getvalue()


def output_names(paths: Sequence[str]) -> list[PurePath]:
    """Return a distinct name for the outputs of each recording.

    The name is the path relative to the common folder, without suffix unless two recordings differ
    only in their suffixes.
    """
    parents = [os.path.dirname(os.path.abspath(path)) for path in paths]
    common = os.path.commonpath(parents) if parents else ""
    names = [
        PurePath(os.path.relpath(parent, common), os.path.basename(path))
        if path != "-"
        else PurePath("standard_input")
        for path, parent in zip(paths, parents, strict=True)
    ]
    count = Counter(name.with_suffix("") for name in names)
    return [name.with_suffix("") if count[name.with_suffix("")] == 1 else name for name in names]


def to_rttm(results: Sequence[Result]) -> str:
    """Return one line per region in NIST's Rich Transcription Time Marked format.

    Lines have the type "SPEAKER", the name of `output_names` as recording and "fake" as speaker.
    """
    names = output_names([result.path for result in results])
    lines = [
        f"SPEAKER {'_'.join(shown(name.as_posix()).split())} 1 {r.onset:.3f} "
        f"{r.offset - r.onset:.3f} <NA> <NA> fake {r.score:.3f} <NA>"
        for result, name in zip(results, names, strict=True)
        if result.detection is not None
        for r in result.detection.regions
    ]
    return "".join(f"{line}\n" for line in lines)


def to_audacity(detection: Detection) -> str:
    """Return an Audacity label track: one line per region with onset, offset and label."""
    return "".join(
        f"{r.onset:.6f}\t{r.offset:.6f}\tfake {r.score:.2f}\n" for r in detection.regions
    )
