"""The same figures for seen attacks, for unseen ones, and for each attack."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

from fakesound.metrics.block import metrics_block
from fakesound.metrics.bootstrap import Intervals, block_intervals
from fakesound.metrics.scores import ClipScore

BlockWithIntervals = dict[str, int | float | Intervals | None]


class Breakdown(TypedDict):
    """The "test" object of ``metrics.json``."""

    all: BlockWithIntervals
    seen: BlockWithIntervals
    unseen: BlockWithIntervals
    attack: dict[str, BlockWithIntervals]


@dataclass(frozen=True)
class Subsets:
    """Parts of a test set, each with all genuine clips.

    Attributes:
        all: every clip.
        seen: with the fakes whose attack was in training.
        unseen: with the fakes whose attack was not.
        attack: with the fakes of one attack, by its name.
    """

    all: list[ClipScore]
    seen: list[ClipScore]
    unseen: list[ClipScore]
    attack: dict[str, list[ClipScore]]


def subsets(scores: Sequence[ClipScore]) -> Subsets:
    """Return the parts of a test set that are reported apart.

    Fakes without a fold, of an attack that only served model selection, count in ``all`` and for
    their attack. Where a fold has no fakes its part is empty: genuine clips alone would look like
    success on it.
    """
    genuines = [clip for clip in scores if not clip.fake]

    def part(fakes: list[ClipScore]) -> list[ClipScore]:
        return [*fakes, *genuines] if fakes else []

    by_attack: dict[str, list[ClipScore]] = {}
    for clip in scores:
        if clip.attack is not None:
            by_attack.setdefault(clip.attack, []).append(clip)
    return Subsets(
        all=list(scores),
        seen=part([clip for clip in scores if clip.fake and clip.fold == "seen"]),
        unseen=part([clip for clip in scores if clip.fake and clip.fold == "unseen"]),
        attack={attack: part(fakes) for attack, fakes in sorted(by_attack.items())},
    )


def fold_blocks(scores: Sequence[ClipScore], draws: int = 1000, seed: int = 0) -> Breakdown:
    """Return the metrics block of each of :func:`subsets`, with its intervals under ``ci``.

    Args:
        scores: the test clips.
        draws: bootstrap draws for each block; 0 leaves ``ci`` out.
        seed: seed of the draws.

    Raises:
        InputError: if only some clips have frame scores.
    """

    def block(part: Sequence[ClipScore]) -> BlockWithIntervals:
        figures: BlockWithIntervals = {**metrics_block(part)}
        if draws:
            figures["ci"] = block_intervals(part, draws, seed)
        return figures

    parts = subsets(scores)
    return {
        "all": block(parts.all),
        "seen": block(parts.seen),
        "unseen": block(parts.unseen),
        "attack": {attack: block(part) for attack, part in parts.attack.items()},
    }
