"""Detect in many files: one bad file ends nothing, and an interrupted batch continues."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from fakesound.command_line import FULL
from fakesound.data.audio import audio_info
from fakesound.errors import InputError, shown
from fakesound.files import Journal
from fakesound.inference.detection import Detection
from fakesound.inference.detector import Detector
from fakesound.inference.record import Record
from fakesound.inference.writing import Result
from fakesound.scoring.decision import FakeRegion

MIX, EACH = "mix", "each"


class Finished:
    """Results of an interrupted batch, in a journal beside the first output.

    Args:
        output: file that the batch writes; the journal is ``.NAME.unfinished`` beside it.
        settings: model and options; results of others are not used.
    """

    def __init__(self, output: Path, settings: str) -> None:
        self.path = output.with_name(f".{output.name}.unfinished")
        self.journal: Journal | None = Journal(self.path)
        self.settings = hashlib.sha256(settings.encode(errors="surrogateescape")).hexdigest()
        self.found: dict[str, dict[str, Any]] = {}
        for _, row in self.journal.entries():
            if isinstance(row, dict) and row.get("settings") == self.settings:
                self.found[row["key"]] = row["detection"]

    def get(self, key: str) -> Detection | None:
        """Return the detection that is kept under ``key``."""
        row = self.found.get(key)
        return None if row is None else _restored(row)

    def add(self, key: str, detection: Detection) -> None:
        """Keep a detection. On a full disk, nothing more is kept."""
        if self.journal is None:
            return
        try:
            row = {"settings": self.settings, "key": key, "detection": _stored(detection)}
            self.journal.append(row)
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.journal = None

    def remove(self) -> None:
        """Remove the journal: the outputs are written."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def detect_files(
    detector: Detector,
    files: Sequence[tuple[str, Path]],
    channels: str = MIX,
    finished: Finished | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[Result]:
    """Yield the result of each file, or of each of its channels, as it is known.

    Args:
        detector: detector.
        files: names for messages, and paths.
        channels: "mix", "each", or the number of a channel, from 1.
        finished: results of an interrupted batch, to use and to add to.
        progress: function called with the number of files done and of all files.
    """
    for number, (name, path) in enumerate(files):
        for shown_name, channel in _channels(name, path, channels):
            yield _detect(detector, shown_name, path, channel, finished)
        progress(number + 1, len(files))


def _channels(name: str, path: Path, channels: str) -> list[tuple[str, int | None]]:
    if channels == MIX:
        return [(name, None)]
    if channels != EACH:
        return [(name, int(channels) - 1)]
    try:
        count = audio_info(path).channels
    except Exception:  # the detection has the same error
        count = 1
    if count == 1:
        return [(name, None)]
    return [(f"{name}#{channel + 1}", channel) for channel in range(count)]


def _detect(
    detector: Detector, name: str, path: Path, channel: int | None, finished: Finished | None
) -> Result:
    try:
        stat = path.stat() if path.exists() else None
        state = None if stat is None else (stat.st_size, stat.st_mtime_ns)
        key = shown(f"{name} {state}")
        detection = None if finished is None else finished.get(key)
        if detection is None:
            detection = detector.detect(path, channel=channel)
            if finished is not None:
                finished.add(key, detection)
        return Result(name, detection)
    except InputError as error:
        return Result(name, error=shown(str(error).replace(str(path), name)))
    except Exception as error:  # whatever is wrong with one file, the others are done
        reason = f"{type(error).__name__}: {error}"
        return Result(name, error=shown(f"{name}: cannot be analysed ({reason}); replace it"))


def _stored(detection: Detection) -> dict[str, Any]:
    row = {field.name: getattr(detection, field.name) for field in fields(detection)}
    row["path"] = None
    row["record"] = None if detection.record is None else asdict(detection.record)
    row["regions"] = [(r.onset, r.offset, r.score) for r in detection.regions]
    row["frame_scores"] = [float(score) for score in detection.frame_scores]
    return row


def _restored(row: dict[str, Any]) -> Detection:
    regions = tuple(FakeRegion(*region) for region in row["regions"])
    frames = np.array(row["frame_scores"], np.float32)
    changed = {"regions": regions, "frame_scores": frames, "notes": tuple(row["notes"])}
    record = None if row["record"] is None else Record(**row["record"])
    return Detection(**row | changed | {"record": record})
