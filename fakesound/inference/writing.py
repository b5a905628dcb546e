"""Detections as files that other programs read."""

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from fakesound.errors import shown, unicode_name
from fakesound.inference.detection import Detection, error_row
from fakesound.inference.record import Record


@dataclass(frozen=True)
class Result:
    """Detection of one file, or the reason why there is none.

    Attributes:
        path: path as it was given.
        detection: detection; None if the file could not be read.
        error: reason why it could not be read; None if it could.
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
    """Return all results as a JSON object, in the layout of ``detections.schema.json``.

    Args:
        results: results of the files.
        record: versions, model and settings.
        frames: whether the scores of all frames are included.
    """
    document = record.document([plain(result, frames) for result in results])
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def to_jsonl(results: Sequence[Result], record: Record, frames: bool = False) -> str:
    """Return one JSON object a line and file, each as `to_json` with one result."""
    lines = [record.document([plain(result, frames)]) for result in results]
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def plain(result: Result, frames: bool = False) -> dict[str, Any]:
    """Return one file's result as plain values for JSON."""
    path = unicode_name(result.path)
    if result.detection is None:
        return error_row(result.error or "", path)
    return result.detection.to_dict(frames) | {"path": path}


def to_csv(results: Sequence[Result], record: Record) -> str:
    """Return one row a file with its record.

    Regions are "onset-offset" in seconds, separated by spaces; notes are separated by semicolons.
    """
    columns = ("sha256", *record.columns())
    return _table(results, (*COLUMNS, *columns), record.columns(), ",")


def to_tsv(results: Sequence[Result], header: bool = True) -> str:
    """Return one tab-separated row a file, without line breaks and tabs in names."""
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
    """Return a name for the outputs of each recording, different for different recordings.

    That is its path from the folder that holds all, without the suffix where no other recording
    differs only by it.
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
    """Return one line for each region: Rich Transcription Time Marked, of NIST, type "SPEAKER".

    The name of `output_names` is the recording, "fake" the speaker.
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
    """Return a label track: a line for each region with onset, offset and label."""
    return "".join(
        f"{r.onset:.6f}\t{r.offset:.6f}\tfake {r.score:.2f}\n" for r in detection.regions
    )
