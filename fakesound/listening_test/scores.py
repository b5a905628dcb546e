"""Answers of listeners as score files, like those of a detector."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from fakesound.data.manifest import Clip
from fakesound.listening_test.answers import Answer, AnswerLog
from fakesound.listening_test.listening_test import ListeningTest
from fakesound.metrics import ClipScore, write_scores
from fakesound.timeline import FrameGrid

POOLED = "listeners"
GRID = FrameGrid()


def probability(answer: Answer) -> float:
    """Return P(fake) of an answer.

    The five steps of sureness are the middles of five equal parts between undecided and certain:
    .55, .65, .75, .85 and .95 of a fake, and .45 down to .05 of a genuine clip.
    """
    step = 0.45 + 0.1 * answer.sureness
    return round(step if answer.verdict == "fake" else 1 - step, 2)


def frame_probabilities(answer: Answer, duration: float) -> Float32[np.ndarray, " frame"]:
    """Return P(fake) of each 20 ms of a clip of ``duration`` seconds.

    A frame that a mark touches has the score of the clip, the others one minus it: as surely
    genuine as the marked ones are fake. Without marks all frames have the score of the clip.
    """
    count, score = GRID.count(duration), probability(answer)
    if not answer.regions:
        return np.full(count, score, dtype=np.float32)
    marked = GRID.targets(answer.regions, count)
    return np.where(marked, score, 1 - score).astype(np.float32)


def pooled_scores(
    listeners: Sequence[Mapping[str, Answer]], clips: Sequence[Clip]
) -> list[ClipScore]:
    """Return the scores of clips: the mean of all answers to each, of the clip and of its frames.

    Clips without an answer are left out.
    """
    scores = []
    for clip in clips:
        given = [answers[clip.clip_id] for answers in listeners if clip.clip_id in answers]
        if given:
            frames = [frame_probabilities(answer, clip.duration) for answer in given]
            score = ClipScore.of(
                clip,
                float(np.mean([probability(answer) for answer in given])),
                frame_step=GRID.step,
                frame_scores=np.mean(frames, axis=0).astype(np.float32),
            )
            scores.append(score)
    return scores


def write_listener_scores(test: ListeningTest, log: AnswerLog, only: str | None = None) -> Path:
    """Write the scores of every listener and those of all together; return the latter's path.

    Args:
        test: the test.
        log: its answers.
        only: key of the one listener with a new answer; None for all.
    """
    folder, clips = test.folder / "scores", list(test.clips.values())
    folder.mkdir(parents=True, exist_ok=True)
    for key, answers in log.answers.items():
        if only in (None, key):
            write_scores(folder / f"{file_stem(key)}.jsonl", pooled_scores([answers], clips))
    pooled = folder / f"{POOLED}.jsonl"
    if log.answers:
        write_scores(pooled, pooled_scores(list(log.answers.values()), clips))
    return pooled


def file_stem(key: str) -> str:
    """Return a name for the file of the listener ``key``, of plain characters and no other's."""
    plain = re.sub(r"[^a-z0-9-]+", "_", key)
    if plain == key and plain != POOLED:
        return plain
    return f"{plain}_{hashlib.sha256(key.encode()).hexdigest()[:8]}"
