"""Detect in many files: bad files are skipped, and an interrupted batch resumes."""

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from fakesound.command_line import FULL
from fakesound.data.audio import audio_info
from fakesound.data.location import Location, file_state, read_bytes
from fakesound.errors import InputError, shown
from fakesound.files import Journal
from fakesound.inference.detection import Detection
from fakesound.inference.detector import Detector
from fakesound.inference.formats import Result
from fakesound.inference.record import Record
from fakesound.scoring.decision import FakeRegion

MIX, EACH = "mix", "each"


def journal_path(output: Path) -> Path:
    """Return the journal of a batch that writes ``output``."""
    return output.with_name(f".{output.name}.unfinished")


class BatchJournal:
    """Results of an interrupted batch, in a journal next to the first output file.

    Args:
        output: first output file of the batch.
        settings: model and options; results with other settings are ignored.
        attempts: number of processes that a file may crash before it counts as unreadable; None for
            no limit.
    """

    def __init__(self, output: Path, settings: str, attempts: int | None = None) -> None:
        self.path = journal_path(output)
        self.journal: Journal | None = Journal(self.path)
        self.settings = hashlib.sha256(settings.encode(errors="surrogateescape")).hexdigest()
        self.attempts = attempts
        self.detections: dict[str, dict[str, Any]] = {}
        self.started: Counter[str] = Counter()
        for _, row in self.journal.entries():
            if isinstance(row, dict) and row.get("settings") == self.settings:
                if "begun" in row:
                    self.started[row["key"]] = row["begun"]
                else:
                    self.detections[row["key"]] = row["detection"]

    def get(self, key: str) -> Detection | None:
        """Return the detection that was stored under ``key``."""
        row = self.detections.get(key)
        return None if row is None else _restored(row)

    @contextmanager
    def attempt(self, key: str, name: str) -> Iterator[None]:
        """Count the processes that crash inside the block.

        Raises:
            InputError: before the block, if there were too many crashes.
        """
        if self.attempts is None:
            yield
            return
        if self.started[key] >= self.attempts:
            raise InputError(
                f"{name}: crashed {self.started[key]} processes; replace or remove the file"
            )
        self.started[key] += 1
        self._append(key, begun=self.started[key])
        try:
            yield
        except BaseException:
            self._append(key, begun=0)
            raise

    def add(self, key: str, detection: Detection) -> None:
        """Store a detection. If the disk is full, this and later ones are not stored."""
        self._append(key, detection=_stored(detection))

    def _append(self, key: str, **content: Any) -> None:  # noqa: ANN401  # plain values
        if self.journal is None:
            return
        try:
            self.journal.append({"settings": self.settings, "key": key, **content})
        except OSError as error:
            if error.errno not in FULL:
                raise
            self.journal = None

    def remove(self) -> None:
        """Remove the journal, after the outputs are written."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def detect_files(
    detector: Detector,
    files: Sequence[tuple[str, Path | Location]],
    channels: str = MIX,
    journal: BatchJournal | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    seconds: Callable[[float], None] = lambda done: None,
) -> Iterator[Result]:
    """Yield the result of each file, or of each of its channels, as soon as it is known.

    Args:
        detector: trained detector.
        files: name for messages, and path or location, of each file.
        channels: "mix", "each", or the number of a channel, from 1.
        journal: results of an interrupted batch; new ones are added.
        progress: function called with the number of finished files and their total.
        seconds: function called with the seconds read of the current file.
    """
    for number, (name, path) in enumerate(files):
        for shown_name, channel in _channels(name, path, channels):
            yield _detect(detector, shown_name, path, channel, journal, seconds)
        progress(number + 1, len(files))


def _channels(name: str, path: Path | Location, channels: str) -> list[tuple[str, int | None]]:
    if channels == MIX:
        return [(name, None)]
    if channels != EACH:
        return [(name, int(channels) - 1)]
    try:
        count = audio_info(path).channels
    except Exception:  # detection will report the same error
        count = 1
    if count == 1:
        return [(name, None)]
    return [(f"{name}#{channel + 1}", channel) for channel in range(count)]


def _detect(
    detector: Detector,
    name: str,
    path: Path | Location,
    channel: int | None,
    journal: BatchJournal | None,
    seconds: Callable[[float], None],
) -> Result:
    try:
        if journal is None:
            return Result(name, _detection(detector, path, channel, seconds))
        key = shown(f"{name} {file_state(path)}")
        detection = journal.get(key)
        if detection is None:
            with journal.attempt(key, name):
                detection = _detection(detector, path, channel, seconds)
            journal.add(key, detection)
        return Result(name, detection)
    except InputError as error:
        return Result(name, error=shown(str(error).replace(str(path), name)))
    except Exception as error:  # one file must not stop the others
        reason = f"{type(error).__name__}: {error}"
        return Result(name, error=shown(f"{name}: cannot be analysed ({reason}); replace it"))


def _detection(
    detector: Detector,
    path: Path | Location,
    channel: int | None,
    seconds: Callable[[float], None],
) -> Detection:
    if isinstance(path, Path):
        return detector.detect(path, channel=channel, progress=seconds)
    content = io.BytesIO(read_bytes(path))
    content.name = str(path)  # for messages
    return detector.detect(content, channel=channel, progress=seconds)


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
