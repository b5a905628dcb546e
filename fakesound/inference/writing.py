"""Detections as files that other programs read."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fakesound.inference.detection import Detection


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


COLUMNS = ("path", "verdict", "score", "kind", "regions", "duration", "attack_family", "error")


def to_json(results: Sequence[Result], frames: bool = False) -> str:
    """Return a JSON list with one object a file; ``frames`` adds all frame scores."""
    return json.dumps([plain(result, frames) for result in results], indent=1) + "\n"


def plain(result: Result, frames: bool = False) -> dict[str, Any]:
    """Return one file's result as plain values for JSON."""
    detection = result.detection
    if detection is None:
        row: dict[str, Any] = dict.fromkeys(COLUMNS)
        return row | {"path": result.path, "error": result.error, "regions": []}
    row = detection.to_plain() | {"path": result.path}
    if frames:
        row["frame_step"] = detection.frame_step
        row["frame_scores"] = [round(float(score), 4) for score in detection.frame_scores]
    return row


def to_csv(results: Sequence[Result]) -> str:
    """Return one row a file; regions are "onset-offset" in seconds, separated by spaces."""
    file = io.StringIO()
    writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for result in results:
        row = plain(result)
        spans = [f"{r['onset']:.2f}-{r['offset']:.2f}" for r in row["regions"]]
        writer.writerow(row | {"regions": " ".join(spans)})
    return file.getvalue()


def to_rttm(results: Sequence[Result]) -> str:
    """Return one line for each region: Rich Transcription Time Marked, of NIST, type "SPEAKER".

    The name of the file without suffix is the recording, "fake" the speaker.
    """
    lines = [
        f"SPEAKER {Path(result.path).stem.replace(' ', '_')} 1 {r.onset:.3f} "
        f"{r.offset - r.onset:.3f} <NA> <NA> fake {r.score:.3f} <NA>"
        for result in results
        if result.detection is not None
        for r in result.detection.regions
    ]
    return "".join(f"{line}\n" for line in lines)


def to_audacity(detection: Detection) -> str:
    """Return a label track: a line for each region with onset, offset and label."""
    return "".join(
        f"{r.onset:.6f}\t{r.offset:.6f}\tfake {r.score:.2f}\n" for r in detection.regions
    )
