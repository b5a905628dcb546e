"""Detect in many files: one bad file ends nothing, and an interrupted batch continues."""

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
from fakesound.data.location import Location, read_bytes
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
        attempts: number of processes that may be killed while they read a file, before it counts
            as unreadable; None: any number.
    """

    def __init__(self, output: Path, settings: str, attempts: int | None = None) -> None:
        self.path = output.with_name(f".{output.name}.unfinished")
        self.journal: Journal | None = Journal(self.path)
        self.settings = hashlib.sha256(settings.encode(errors="surrogateescape")).hexdigest()
        self.attempts = attempts
        self.found: dict[str, dict[str, Any]] = {}
        self.begun: Counter[str] = Counter()
        for _, row in self.journal.entries():
            if isinstance(row, dict) and row.get("settings") == self.settings:
                if "begun" in row:
                    self.begun[row["key"]] = row["begun"]
                else:
                    self.found[row["key"]] = row["detection"]

    def get(self, key: str) -> Detection | None:
        """Return the detection that is kept under ``key``."""
        row = self.found.get(key)
        return None if row is None else _restored(row)

    @contextmanager
    def attempt(self, key: str, name: str) -> Iterator[None]:
        """Count the processes that are killed before the block ends, with or without an error.

        Raises:
            InputError: instead of entering the block, if they were too many.
        """
        if self.attempts is None:
            yield
            return
        if self.begun[key] >= self.attempts:
            raise InputError(
                f"{name}: ended {self.begun[key]} processes that read it; replace or remove it"
            )
        self.begun[key] += 1
        self._append(key, begun=self.begun[key])
        try:
            yield
        except BaseException:
            self._append(key, begun=0)
            raise

    def add(self, key: str, detection: Detection) -> None:
        """Keep a detection. On a full disk, nothing more is kept."""
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
        """Remove the journal: the outputs are written."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def detect_files(
    detector: Detector,
    files: Sequence[tuple[str, Path | Location]],
    channels: str = MIX,
    finished: Finished | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    seconds: Callable[[float], None] = lambda done: None,
) -> Iterator[Result]:
    """Yield the result of each file, or of each of its channels, as it is known.

    Args:
        detector: detector.
        files: names for messages, and paths; or locations of what is not a file on this machine.
        channels: "mix", "each", or the number of a channel, from 1.
        finished: results of an interrupted batch, to use and to add to.
        progress: function called with the number of files done and of all files.
        seconds: function called with the seconds read of the current file.
    """
    for number, (name, path) in enumerate(files):
        for shown_name, channel in _channels(name, path, channels):
            yield _detect(detector, shown_name, path, channel, finished, seconds)
        progress(number + 1, len(files))


def _channels(name: str, path: Path | Location, channels: str) -> list[tuple[str, int | None]]:
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
    detector: Detector,
    name: str,
    path: Path | Location,
    channel: int | None,
    finished: Finished | None,
    seconds: Callable[[float], None],
) -> Result:
    try:
        if finished is None:
            return Result(name, _detection(detector, path, channel, seconds))
        key = shown(f"{name} {file_state(path)}")
        detection = finished.get(key)
        if detection is None:
            with finished.attempt(key, name):
                detection = _detection(detector, path, channel, seconds)
            finished.add(key, detection)
        return Result(name, detection)
    except InputError as error:
        return Result(name, error=shown(str(error).replace(str(path), name)))
    except Exception as error:  # whatever is wrong with one file, the others are done
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


def file_state(path: Path | Location) -> tuple[int, int] | None:
    """Return size and time of a file, which change with its content; None if it has none."""
    if not isinstance(path, Path) or not path.exists():
        return None
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


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
