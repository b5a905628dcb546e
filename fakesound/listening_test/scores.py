"""Convert the answers of listeners to score files."""

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
from fakesound.timeline import GRID

POOLED = "listeners"


def probability(answer: Answer) -> float:
    """Return P(fake) of an answer.

    The five levels of sureness are the centres of five equal intervals from 0.5 to 1: 0.55, 0.65,
    0.75, 0.85 and 0.95 for "fake", and 0.45 down to 0.05 for "genuine".
    """
    step = 0.45 + 0.1 * answer.sureness
    return round(step if answer.verdict == "fake" else 1 - step, 2)


def frame_probabilities(answer: Answer, duration: float) -> Float32[np.ndarray, " frame"]:
    """Return P(fake) of each 20 ms frame of a clip of ``duration`` seconds.

    Frames that overlap a mark have the score of the clip, other frames 1 minus this score. Without
    marks, all frames have the score of the clip.
    """
    count, score = GRID.count(duration), probability(answer)
    if not answer.regions:
        return np.full(count, score, dtype=np.float32)
    marked = GRID.targets(answer.regions, count)
    return np.where(marked, score, 1 - score).astype(np.float32)


def pooled_scores(
    listeners: Sequence[Mapping[str, Answer]], clips: Sequence[Clip]
) -> list[ClipScore]:
    """Return the clip and frame scores of each clip, averaged over all answers.

    Clips without an answer are omitted.
    """
    scores = []
    for clip in clips:
        answers_to_clip = [
            answers[clip.clip_id] for answers in listeners if clip.clip_id in answers
        ]
        if answers_to_clip:
            frames = [frame_probabilities(answer, clip.duration) for answer in answers_to_clip]
            score = ClipScore.of(
                clip,
                float(np.mean([probability(answer) for answer in answers_to_clip])),
                frame_step=GRID.step,
                frame_scores=np.mean(frames, axis=0).astype(np.float32),
            )
            scores.append(score)
    return scores


def write_listener_scores(test: ListeningTest, log: AnswerLog, only: str | None = None) -> Path:
    """Write the scores of each listener and the pooled scores; return the path of the latter.

    Args:
        test: listening test.
        log: answers to the test.
        only: key of the only listener with new answers; None to write the scores of all.
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
    """Return a unique file name with plain characters for the listener ``key``."""
    plain = re.sub(r"[^a-z0-9-]+", "_", key)
    if plain == key and plain != POOLED:
        return plain
    return f"{plain}_{hashlib.sha256(key.encode()).hexdigest()[:8]}"
