"""Evaluate a detector on degraded audio: telephone, codecs, rooms and noise."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fakesound.augmentation.conditions import Condition
from fakesound.errors import InputError
from fakesound.evaluation.results import CalibratedScores
from fakesound.metrics import ClipScore, part_blocks, subsets

CLEAN = ("clean", "as it is")


def robustness(
    conditions: Sequence[Condition],
    clean: CalibratedScores,
    rescore: Callable[[Sequence[Condition]], Sequence[Sequence[ClipScore]]],
    draws: int,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Yield the metrics of the clean test, then those under each condition.

    Calibration and thresholds are those of clean validation audio, since the condition is unknown
    in use.

    Args:
        conditions: conditions to score the clips under.
        clean: scores of the clean test.
        rescore: function that returns uncalibrated scores under each condition, with the folds of
            the clean test.
        draws: number of bootstrap draws for the intervals.
        seed: seed of the draws.

    Raises:
        InputError: if the clips scored under a condition are not those of the clean test.
    """
    yield _metrics(*CLEAN, clean.test, draws, seed)
    clips = {clip.clip_id for clip in clean.test}
    for condition, raw in zip(conditions, rescore(conditions), strict=True):
        scores = clean.calibrator.apply(raw)
        if lone := clips ^ {clip.clip_id for clip in scores}:
            raise InputError(
                f"--robustness {condition.name}: clip {min(lone)!r} has a score only under this "
                "condition or only as clean audio; leave the condition out"
            )
        scores = clean.thresholds.apply(scores) if clean.thresholds else scores
        yield _metrics(condition.name, condition.title, scores, draws, seed)


def _metrics(
    name: str, title: str, scores: Sequence[ClipScore], draws: int, seed: int
) -> dict[str, Any]:
    return {"name": name, "title": title} | part_blocks(scores, subsets(scores).parts, draws, seed)
