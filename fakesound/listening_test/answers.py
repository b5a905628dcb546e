"""Answers of listeners, stored in an append-only journal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from fakesound.clip import LABELS, Clip
from fakesound.errors import InputError, field_error
from fakesound.files import Journal
from fakesound.listening_test.listening_test import listener_key, listener_name
from fakesound.timeline import Region, merge_regions, microseconds

MOST_REGIONS = 100
SLACK = 0.05  # seconds by which a mark may end after the clip, because browsers round


@dataclass(frozen=True)
class Answer:
    """Answer of a listener to a clip.

    Attributes:
        listener: name as first entered.
        clip_id: id of the clip.
        verdict: "genuine" or "fake".
        sureness: level from 1 (a guess) to 5 (certain).
        regions: parts marked as fake, in seconds; empty without marks.
    """

    listener: str
    clip_id: str
    verdict: str
    sureness: int
    regions: tuple[Region, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return verdict, sureness and regions as plain values."""
        regions = [[region.onset, region.offset] for region in self.regions]
        return {"verdict": self.verdict, "sureness": self.sureness, "regions": regions}


class _Row(msgspec.Struct):
    """Schema of an answer from the page and of a row of the journal."""

    verdict: Literal["genuine", "fake"]
    sureness: Annotated[int, msgspec.Meta(ge=1, le=5)]
    regions: Annotated[tuple[tuple[float, float], ...], msgspec.Meta(max_length=MOST_REGIONS)] = ()


def read_answer(row: Mapping[str, Any], clip: Clip) -> Answer:
    """Parse the answer to ``clip`` in ``row``.

    Raises:
        InputError: naming the field, its value and the expected one.
    """
    try:
        parsed = msgspec.convert(row, _Row)
    except msgspec.ValidationError as error:
        raise InputError(field_error(error, row, {"verdict": LABELS})) from None
    if parsed.regions and parsed.verdict == "genuine":
        raise InputError("regions: a genuine clip has no fake parts; leave them out")
    regions = []
    for onset, offset in parsed.regions:
        if not 0 <= onset < offset <= clip.duration + SLACK:
            raise InputError(
                f"regions: [{onset}, {offset}] is not a part of a clip of {clip.duration} s"
            )
        # marks that are empty, or lie after the end of the clip, are dropped
        if microseconds(onset) < microseconds(min(offset, clip.duration)):
            regions.append(Region(onset, min(offset, clip.duration)))
    listener = listener_name(row.get("listener"))
    merged = tuple(merge_regions(regions))
    return Answer(listener, clip.clip_id, parsed.verdict, parsed.sureness, merged)


class AnswerLog:
    """Answers to a test, in memory and in a journal.

    The last answer of a listener to a clip counts.

    Args:
        path: file of the journal; it may not exist yet.
        clips: clips of the test.

    Attributes:
        answers: last answer to each clip, by listener key and clip id.
        finished: keys of listeners who have seen their result.
        cut: numbers of rows that a crash truncated; they are skipped.

    Raises:
        InputError: naming the file, the row and the field, for an invalid row.
    """

    def __init__(self, path: Path, clips: Sequence[Clip]) -> None:
        self.path = path
        self.answers: dict[str, dict[str, Answer]] = {}
        self.finished: set[str] = set()
        self.cut: list[int] = []
        self._clips = {clip.clip_id: clip for clip in clips}
        self._journal = Journal(path, durable=True)
        for number, row in self._journal.entries():
            if row is None:
                self.cut.append(number)
            else:
                self._read(row, number)

    def _read(self, row: object, number: int) -> None:
        try:
            if not isinstance(row, dict):
                raise InputError("not a JSON object")
            if row.get("finished") is True:
                self.finished.add(listener_key(listener_name(row.get("listener"))))
                return
            clip = self._clips.get(str(row.get("clip_id")))
            if clip is None:
                raise InputError(f"clip_id: {row.get('clip_id')!r} is not in this test")
            self._keep(read_answer(row, clip))
        except InputError as error:
            raise InputError(f"{self.path}, row {number}, {error}; correct or remove it") from None

    def of(self, listener: str) -> Mapping[str, Answer]:
        """Return the answers of ``listener`` by clip id."""
        return self.answers.get(listener_key(listener), {})

    def add(self, answer: Answer) -> None:
        """Add ``answer`` and flush it to disk."""
        names = {"listener": answer.listener, "clip_id": answer.clip_id}
        self._append(names | answer.to_plain())
        self._keep(answer)

    def finish(self, listener: str) -> None:
        """Record that ``listener`` has seen the result, and flush this to disk."""
        if listener_key(listener) not in self.finished:
            self._append({"listener": listener, "finished": True})
            self.finished.add(listener_key(listener))

    def _keep(self, answer: Answer) -> None:
        self.answers.setdefault(listener_key(answer.listener), {})[answer.clip_id] = answer

    def _append(self, row: Mapping[str, Any]) -> None:
        self._journal.append({**row, "time": datetime.now(UTC).isoformat(timespec="seconds")})
