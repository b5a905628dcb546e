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
    """What became of one file.

    Attributes:
        path: as it was given.
        detection: what is said of it; None if it could not be read.
        error: why not; None if it could.
    """

    path: str
    detection: Detection | None = None
    error: str | None = None


COLUMNS = ("path", "verdict", "score", "regions", "duration", "attack_family", "error")


def to_json(results: Sequence[Result], frames: bool = False) -> str:
    """Return a list with one object a file; ``frames`` adds the scores of all frames."""
    return json.dumps([plain(result, frames) for result in results], indent=1) + "\n"


def plain(result: Result, frames: bool = False) -> dict[str, Any]:
    """Return what JSON holds of one file."""
    found = result.detection
    if found is None:
        empty: dict[str, Any] = {"verdict": None, "score": None, "regions": [], "duration": None}
        return {"path": result.path, "error": result.error, **empty, "attack_family": None}
    made = found.to_plain() | {"path": result.path}
    if frames:
        made["frame_step"] = found.frame_step
        made["frame_scores"] = [round(float(score), 4) for score in found.frame_scores]
    return made


def to_csv(results: Sequence[Result]) -> str:
    """Return one row a file; regions as "onset-offset" in seconds, apart by blanks."""
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
    """Return a label track: a line for each region with onset, offset and what it is called."""
    return "".join(
        f"{r.onset:.6f}\t{r.offset:.6f}\tfake {r.score:.2f}\n" for r in detection.regions
    )
