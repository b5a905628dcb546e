"""A detector heard again through telephones, codecs, rooms and noise."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from fakesound.augmentation.conditions import Condition
from fakesound.evaluation.results import Judged
from fakesound.metrics import ClipScore, part_blocks, subsets

CLEAN = ("clean", "as it is")


def robustness(
    conditions: Sequence[Condition],
    judged: Judged,
    score: Callable[[Condition], Sequence[ClipScore]],
    draws: int,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Yield the figures of the clean test, then those under each condition.

    Calibration and thresholds stay those of the clean validation: a detector is not told what the
    audio went through.

    Args:
        conditions: to hear the clips under.
        judged: the clean test.
        score: returns raw scores of the clips under a condition, folds as in the clean test.
        draws: of the bootstrap for the intervals.
        seed: of the draws.
    """
    yield _figures(*CLEAN, judged.test, draws, seed)
    for condition in conditions:
        scores = judged.calibrator.applied(score(condition))
        scores = judged.thresholds.applied(scores) if judged.thresholds else scores
        yield _figures(condition.name, condition.title, scores, draws, seed)


def _figures(
    name: str, title: str, scores: Sequence[ClipScore], draws: int, seed: int
) -> dict[str, Any]:
    whole = subsets(scores)
    parts = {"all": whole.all, "seen": whole.seen, "unseen": whole.unseen}
    there = {part: clips for part, clips in parts.items() if clips}
    return {"name": name, "title": title} | part_blocks(scores, there, draws, seed)
