"""The parts of a run's figures that are shown apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fakesound.metrics import ClipScore, Prior, baseline_blocks, has_frames, segment_f1, subsets
from fakesound.report.run_folder import RunResults

TITLES = {
    "unseen": "Unseen attacks",
    "seen": "Seen attacks",
    "all": "Test",
    "validation": "Validation",
}
STEP = 20_000  # microseconds


@dataclass(frozen=True)
class Value:
    """A figure and its 95 % interval.

    Attributes:
        value: None where it is undefined.
        interval: None where there is none.
    """

    value: float | None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Part:
    """Clips whose figures are shown together.

    Attributes:
        name: "unseen", "seen", "all" or "validation".
        scores: of its clips.
        block: its metrics block, with intervals under "ci" where there are any.
        all_fake: the block of calling everything fake.
    """

    name: str
    scores: Sequence[ClipScore]
    block: Mapping[str, Any]
    all_fake: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Its heading."""
        return TITLES[self.name]

    @property
    def attacks(self) -> list[str]:
        """The attacks among its clips."""
        return sorted({clip.attack for clip in self.scores if clip.attack is not None})

    @property
    def share_fake(self) -> float:
        """Share of its clips that is fake."""
        return sum(clip.fake for clip in self.scores) / len(self.scores)


@dataclass(frozen=True)
class AttackResult:
    """How one attack of the test fared.

    Attributes:
        name: ``family/generator``.
        fold: "seen", "unseen", or None for one that only served model selection.
        fakes: number of its clips; None if it is not known.
        block: metrics block of its clips beside all genuine ones.
        all_fake_f1: segment F1 at 20 ms of calling everything fake; None without frames.
    """

    name: str
    fold: str | None
    fakes: int | None
    block: Mapping[str, Any]
    all_fake_f1: float | None

    @property
    def family(self) -> str:
        """The part of the name before the slash."""
        return self.name.split("/")[0]


def shown_parts(results: RunResults) -> list[Part]:
    """Return the unseen and the seen part of the test, or all of it where it has no folds."""
    whole = subsets(results.test_scores)
    folds = {"unseen": whole.unseen, "seen": whole.seen}
    floors = results.metrics.get("baseline_by_fold") or {}
    parts = [
        Part(name, scores, results.metrics["test"][name], floors.get(name, {}).get("all_fake", {}))
        for name, scores in folds.items()
        if scores
    ]
    floor = (results.metrics.get("baseline") or {}).get("all_fake", {})
    return parts or [Part("all", whole.all, results.metrics["test"]["all"], floor)]


def validation_part(results: RunResults) -> Part | None:
    """Return the validation clips, None if there are none."""
    scores = results.validation_scores
    block = results.metrics.get("validation")
    if not (scores and block):
        return None
    floor = baseline_blocks(scores, Prior.of(scores))["all_fake"]
    return Part("validation", scores, block, floor)


def attack_results(results: RunResults) -> list[AttackResult]:
    """Return the attacks of the test by family, and in a family from the best found down."""
    found = []
    for name, scores in subsets(results.test_scores).attack.items():
        fakes = [clip for clip in scores if clip.fake]
        block = (results.metrics["test"].get("attack") or {}).get(name)
        if block is None:
            continue
        found.append(AttackResult(name, fakes[0].fold, len(fakes), block, all_fake_f1(scores)))

    def rank(attack: AttackResult) -> float:
        for key in ("clip/auc", "segment_f1_20ms"):
            if attack.block.get(key) is not None:
                return -float(attack.block[key])
        return 0.0

    return sorted(found, key=lambda attack: (attack.family, rank(attack), attack.name))


def interval(block: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    """Return the 95 % interval of a figure, None where it has none."""
    ends = (block.get("ci") or {}).get(key)
    return None if ends is None else (float(ends[0]), float(ends[1]))


def value_of(block: Mapping[str, Any], key: str) -> Value:
    """Return a figure of ``block`` with its interval."""
    value = block.get(key)
    return Value(None if value is None else float(value), interval(block, key))


def known(blocks: Sequence[Mapping[str, Any]], key: str) -> bool:
    """Return whether any of ``blocks`` has the figure ``key``."""
    return any(block.get(key) is not None for block in blocks)


def all_fake_f1(scores: Sequence[ClipScore]) -> float | None:
    """Return segment F1 at 20 ms of calling all of ``scores`` fake; None without frames."""
    if not has_frames(scores):
        return None
    marked = [
        replace(clip, frame_scores=np.ones_like(clip.frame_scores), frame_threshold=0.5)
        for clip in scores
    ]
    return segment_f1(marked, STEP)
