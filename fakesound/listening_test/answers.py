"""What listeners said: one line an answer, only ever added to, and on disk before it counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

from fakesound.data.manifest import Clip
from fakesound.errors import InputError
from fakesound.files import Journal
from fakesound.listening_test.listening_test import listener_key, listener_name
from fakesound.timeline import Region, merge_regions, microseconds

SURENESS = (1, 2, 3, 4, 5)
MOST_REGIONS = 100
SLACK = 0.05  # seconds past its end that a browser's clock may put a mark


@dataclass(frozen=True)
class Answer:
    """What a listener said of a clip.

    Attributes:
        listener: the name as first typed.
        clip_id: of the clip.
        verdict: "genuine" or "fake".
        sureness: 1, a guess, to 5, certain.
        regions: what was marked as fake; none where the listener could not say.
    """

    listener: str
    clip_id: str
    verdict: str
    sureness: int
    regions: tuple[Region, ...] = ()


def read_answer(row: Mapping[str, Any], clip: Clip) -> Answer:
    """Return the answer that ``row`` gives of ``clip``.

    Raises:
        InputError: naming the field, its value and what is right.
    """
    verdict, sureness = row.get("verdict"), row.get("sureness")
    if verdict not in ("genuine", "fake"):
        raise InputError(f"verdict: {verdict!r} is not 'genuine' or 'fake'")
    if isinstance(sureness, bool) or not isinstance(sureness, int) or sureness not in SURENESS:
        raise InputError(f"sureness: {sureness!r} is not a whole number from 1 to 5")
    regions = _regions(row.get("regions", []), clip.duration)
    if regions and verdict == "genuine":
        raise InputError("regions: a genuine clip has no fake parts; leave them out")
    return Answer(listener_name(row.get("listener")), clip.clip_id, verdict, sureness, regions)


def _regions(spans: object, duration: float) -> tuple[Region, ...]:
    if not isinstance(spans, list) or len(spans) > MOST_REGIONS:
        raise InputError(f"regions: not a list of at most {MOST_REGIONS} parts")
    found = []
    for span in spans:
        if not (isinstance(span, list) and len(span) == 2 and all(map(_is_number, span))):
            raise InputError(f"regions: {span!r} is not [onset, offset] in seconds")
        onset, offset = span
        if not 0 <= onset < offset <= duration + SLACK:
            raise InputError(f"regions: {span!r} is not a part of a clip of {duration} s")
        # a mark that begins after the end, or ends as it begins, marks nothing
        if microseconds(onset) < microseconds(min(offset, duration)):
            found.append(Region(float(onset), min(float(offset), duration)))
    return tuple(merge_regions(found))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


class AnswerLog:
    """The answers to a test, in memory and in a file to which lines are only added.

    A line counts once it is whole on disk. The last answer of a listener to a clip holds.

    Args:
        path: of the file; it need not be there yet.
        clips: of the test.

    Attributes:
        answers: the last one of each listener to each clip, by key of the listener and clip id.
        finished: keys of listeners who have seen their result.
        cut: numbers of lines that a crash cut short; they are left out.

    Raises:
        InputError: naming the file, the row and the field, for a line that is wrong.
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
        """Add ``answer``; on return it is on disk."""
        self._append(
            {
                "listener": answer.listener,
                "clip_id": answer.clip_id,
                "verdict": answer.verdict,
                "sureness": answer.sureness,
                "regions": [[region.onset, region.offset] for region in answer.regions],
            }
        )
        self._keep(answer)

    def finish(self, listener: str) -> None:
        """Write down that ``listener`` has seen the result; on return it is on disk."""
        if listener_key(listener) not in self.finished:
            self._append({"listener": listener, "finished": True})
            self.finished.add(listener_key(listener))

    def _keep(self, answer: Answer) -> None:
        self.answers.setdefault(listener_key(answer.listener), {})[answer.clip_id] = answer

    def _append(self, row: Mapping[str, Any]) -> None:
        self._journal.append({**row, "time": datetime.now(UTC).isoformat(timespec="seconds")})
