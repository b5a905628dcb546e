"""Requests of the page to a running test; labels stay secret until the listener has finished."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fakesound.listening_test.answers import AnswerLog, read_answer
from fakesound.listening_test.listening_test import ListeningTest, listener_key, listener_name
from fakesound.listening_test.scores import write_listener_scores
from fakesound.progress import print_line


class UnknownClipError(LookupError):
    """No clip of the test has this name."""


class ClosedError(RuntimeError):
    """The request is not allowed in the current state of the test."""


@dataclass(frozen=True)
class Session:
    """Test, its answers, and whether listeners may see their own result at the end.

    Each method handles a request of the page and may be called from any thread.

    Raises:
        InputError: naming the invalid field.
        UnknownClipError: for a clip that is not in the test.
        ClosedError: for a request that is not allowed in the current state.
    """

    test: ListeningTest
    log: AnswerLog
    reveal: bool
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def join(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """Return the clips in the listener's order, with the answers so far."""
        name = listener_name(sent.get("listener"))
        with self._lock:
            answers = self.log.of(name)
            finished = listener_key(name) in self.log.finished
            # the name as first entered
            name = next(iter(answers.values())).listener if answers else name
        clips = []
        for key in self.test.order(name):
            answer = answers.get(self.test.clips[key].clip_id)
            clips.append({"clip": key, "answer": answer and answer.to_plain()})
        return {"listener": name, "clips": clips, "finished": finished, "reveal": self.reveal}

    def answer(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """Store an answer; return it as it was stored."""
        clip = self.test.clips.get(str(sent.get("clip")))
        if clip is None:
            raise UnknownClipError(f"clip: {sent.get('clip')!r} is not in this test")
        answer = read_answer(sent, clip)
        key = listener_key(answer.listener)
        with self._lock:
            if key in self.log.finished:
                raise ClosedError(f"{answer.listener} has seen the result; answers are closed")
            self.log.add(answer)
            try:
                write_listener_scores(self.test, self.log, only=key)
            except OSError as error:
                # the scores are computed again at the end
                print_line(f"note: scores not written ({error})")
        return answer.to_plain()

    def result(self, sent: Mapping[str, Any]) -> dict[str, Any]:
        """Return the result of a listener for each clip, and accept no more answers."""
        name = listener_name(sent.get("listener"))
        if not self.reveal:
            raise ClosedError("results are not shown in this test")
        with self._lock:
            answers = self.log.of(name)
            missing = len(self.test.clips) - len(answers)
            if missing:
                raise ClosedError(f"{missing} clips are still to be answered")
            self.log.finish(name)
        clips = []
        for key in self.test.order(name):
            clip = self.test.clips[key]
            clips.append(
                {
                    "clip": key,
                    "truth": clip.label,
                    "attack": clip.attack,
                    "regions": [[region.onset, region.offset] for region in clip.regions],
                    "answer": answers[clip.clip_id].to_plain(),
                }
            )
        return {"clips": clips}
