"""The same figures for parts of a test set: seen and unseen attacks, each attack, and others."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

from fakesound.metrics.bootstrap import BlockWithIntervals, part_blocks
from fakesound.metrics.localisation import frame_thresholds
from fakesound.metrics.scores import REGION_TOLERANCE, ClipScore, has_frames
from fakesound.metrics.tape import tape_of
from fakesound.timeline import merge_regions, microseconds

Partitions = dict[str, dict[str, list[ClipScore]]]

WHOLE_CLIP = "whole clip"
# by the longest region in microseconds; a length on a bound belongs to the longer kind
REGION_LENGTHS = {
    "under 0.25 s": 250_000,
    "0.25-0.5 s": 500_000,
    "0.5-1 s": 1_000_000,
    "1-2 s": 2_000_000,
    "2-4 s": 4_000_000,
    "over 4 s": None,
}


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


def partitions(scores: Sequence[ClipScore]) -> Partitions:
    """Return the parts of a test set by what its fakes have in common.

    By "family" of the attack and by "region_length", the longest region of a fake, each with all
    genuine clips; by "corpus" and by official "subset", with the genuine clips of the same one.
    Parts without fakes are left out: genuine clips alone would look like success. Lengths go from
    short to whole clips, names by alphabet.
    """
    lengths = (*REGION_LENGTHS, WHOLE_CLIP)
    return {
        "family": _parts(scores, lambda clip: [_family(clip)] if clip.fake else None),
        "region_length": _parts(
            scores, lambda clip: [region_length(clip)] if clip.fake else None, lengths
        ),
        "corpus": _parts(scores, lambda clip: [clip.corpus]),
        "subset": _parts(scores, lambda clip: clip.subsets),
    }


def region_length(clip: ClipScore) -> str:
    """Return the kind of length of a fake's longest region; touching regions are one."""
    duration = microseconds(clip.duration)
    longest = max(
        min(microseconds(region.offset), duration) - microseconds(region.onset)
        for region in merge_regions(clip.regions)
    )
    if longest >= duration - microseconds(REGION_TOLERANCE):
        return WHOLE_CLIP
    return next(name for name, bound in REGION_LENGTHS.items() if bound is None or longest < bound)


def frame_recall(scores: Sequence[ClipScore]) -> float | None:
    """Return the share of fake frames whose score is above the clip's frame threshold.

    None without fakes, and for a system that only scores clips.

    Raises:
        InputError: if only some clips have frame scores.
    """
    if not has_frames(scores):
        return None
    tape = tape_of(scores)
    fakes = int(tape.frame_fake.sum())
    found = int((tape.frame_fake & tape.called(frame_thresholds(scores))).sum())
    return found / fakes if fakes else None


def partition_blocks(
    scores: Sequence[ClipScore], draws: int = 1000, seed: int = 0
) -> dict[str, dict[str, BlockWithIntervals]]:
    """Return the metrics block of each of :func:`partitions`, with its intervals under ``ci``.

    Those by region length also tell :func:`frame_recall`.

    Args:
        scores: the test clips.
        draws: bootstrap draws for each block; 0 leaves ``ci`` out.
        seed: seed of the draws.

    Raises:
        InputError: if only some clips have frame scores.
    """
    parts = partitions(scores)
    flat = {f"{kind}/{name}": part for kind in parts for name, part in parts[kind].items()}
    found = part_blocks(scores, flat, draws, seed)
    blocks = {kind: {name: found[f"{kind}/{name}"] for name in parts[kind]} for kind in parts}
    for name, part in parts["region_length"].items():
        blocks["region_length"][name]["frame_recall"] = frame_recall(part)
    return blocks


def fold_blocks(scores: Sequence[ClipScore], draws: int = 1000, seed: int = 0) -> Breakdown:
    """Return the metrics block of each of :func:`subsets`, with its intervals under ``ci``.

    Args:
        scores: the test clips.
        draws: bootstrap draws for each block; 0 leaves ``ci`` out.
        seed: seed of the draws.

    Raises:
        InputError: if only some clips have frame scores.
    """
    parts = subsets(scores)
    named = {"all": parts.all, "seen": parts.seen, "unseen": parts.unseen}
    attacks = {f"attack/{name}": part for name, part in parts.attack.items()}
    found = part_blocks(scores, named | attacks, draws, seed)
    return {
        "all": found["all"],
        "seen": found["seen"],
        "unseen": found["unseen"],
        "attack": {name: found[f"attack/{name}"] for name in parts.attack},
    }


def _family(clip: ClipScore) -> str:
    return (clip.attack or "").split("/")[0]


def _parts(
    scores: Sequence[ClipScore],
    names: Callable[[ClipScore], Iterable[str] | None],
    order: Sequence[str] = (),
) -> dict[str, list[ClipScore]]:
    """Return the clips of each name that a fake has; those whose names are None are in all."""
    named = [(clip, names(clip)) for clip in scores]
    held = {name for clip, own in named if clip.fake for name in own or ()}
    return {
        name: [clip for clip, own in named if own is None or name in own]
        for name in order or sorted(held)
        if name in held
    }
