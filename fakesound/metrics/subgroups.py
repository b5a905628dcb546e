"""The same figures for subgroups of a test set: seen and unseen attacks, each attack, others."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from fakesound.metrics.frames import frame_table
from fakesound.metrics.localisation import frame_thresholds
from fakesound.metrics.resampling import BlockWithIntervals, part_blocks
from fakesound.metrics.scores import REGION_TOLERANCE, ClipScore, has_frames
from fakesound.timeline import merge_regions, microseconds

Subgroups = dict[str, dict[str, list[ClipScore]]]

WHOLE_CLIP = "whole clip"
LIKENESSES = 4  # ways in which a genuine partner may resemble a fake
# by the longest region in microseconds; a length on a bound belongs to the longer kind
REGION_LENGTHS = {
    "under 0.25 s": 250_000,
    "0.25-0.5 s": 500_000,
    "0.5-1 s": 1_000_000,
    "1-2 s": 2_000_000,
    "2-4 s": 4_000_000,
    "over 4 s": None,
}


@dataclass(frozen=True)
class Subsets:
    """Parts of a test set.

    Attributes:
        all: every clip.
        seen: the fakes whose attack was in training, with all genuine clips.
        unseen: the fakes whose attack was not, with all genuine clips.
        attack: the fakes of one attack with their genuine partners, by its name.
    """

    all: list[ClipScore]
    seen: list[ClipScore]
    unseen: list[ClipScore]
    attack: dict[str, list[ClipScore]]

    @property
    def folds(self) -> dict[str, list[ClipScore]]:
        """The seen and the unseen part, by name, as far as they have clips."""
        parts = {"seen": self.seen, "unseen": self.unseen}
        return {name: clips for name, clips in parts.items() if clips}

    @property
    def parts(self) -> dict[str, list[ClipScore]]:
        """The whole test and its folds, by name, as far as they have clips."""
        return ({"all": self.all} if self.all else {}) | self.folds


def subsets(scores: Sequence[ClipScore]) -> Subsets:
    """Return the parts of a test set that are reported separately.

    Fakes without a fold, of an attack that only served model selection, count in ``all`` and for
    their attack. Where a fold has no fakes its part is empty: genuine clips alone would look like
    success on it. The fakes of an attack come with as many genuine clips as there are fakes (see
    :func:`with_partners`): F1 depends on the share of fakes, and with all genuine clips an attack
    with many fakes would look better than one with few.
    """
    genuines = [clip for clip in scores if not clip.fake]

    def part(fakes: list[ClipScore]) -> list[ClipScore]:
        return [*fakes, *genuines] if fakes else []

    return Subsets(
        all=list(scores),
        seen=part([clip for clip in scores if clip.fake and clip.fold == "seen"]),
        unseen=part([clip for clip in scores if clip.fake and clip.fold == "unseen"]),
        attack=_paired(scores, lambda clip: clip.attack or ""),
    )


def subgroups(scores: Sequence[ClipScore]) -> Subgroups:
    """Return the parts of a test set by what its fakes have in common.

    By "family" of the attack and by "region_length", the longest region of a fake, each with the
    genuine partners of its fakes (see :func:`with_partners`); by "corpus" and by official
    "subset", with the genuine clips of the same one.
    Parts without fakes are left out: genuine clips alone would look like success. Lengths go from
    short to whole clips, names by alphabet.
    """
    return {
        "family": _paired(scores, lambda clip: (clip.attack or "").split("/")[0]),
        "region_length": _paired(scores, region_length, (*REGION_LENGTHS, WHOLE_CLIP)),
        "corpus": _parts(scores, lambda clip: [clip.corpus]),
        "subset": _parts(scores, lambda clip: clip.subsets),
    }


def with_partners(fakes: Sequence[ClipScore], genuines: Sequence[ClipScore]) -> list[ClipScore]:
    """Return ``fakes`` with one genuine clip for each, as far as there are enough.

    The partner of a fake is its genuine twin, a clip of the same source; without one, or where
    another fake has it, a clip of the same domain, else of the same corpus, else any. Each genuine
    clip serves once. The choice depends on names alone, so it is the same for every system.
    """
    free = {clip.clip_id: clip for clip in sorted(genuines, key=_shuffled)}
    pools: dict[tuple[str, str], list[ClipScore]] = {}
    for clip in free.values():
        for key in _likenesses(clip):
            pools.setdefault(key, []).append(clip)
    chosen: list[ClipScore] = []
    waiting = sorted(fakes, key=_shuffled)
    for level in range(LIKENESSES):
        left = []
        for fake in waiting:
            pool = pools.get(_likenesses(fake)[level], [])
            while pool and pool[-1].clip_id not in free:
                pool.pop()
            if pool:
                chosen.append(free.pop(pool.pop().clip_id))
            else:
                left.append(fake)
        waiting = left
    return [*fakes, *chosen]


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
    table = frame_table(scores)
    fakes = int(table.frame_fake.sum())
    found = int((table.frame_fake & table.called(frame_thresholds(scores))).sum())
    return found / fakes if fakes else None


def subgroup_blocks(
    scores: Sequence[ClipScore], draws: int = 1000, seed: int = 0
) -> dict[str, dict[str, BlockWithIntervals]]:
    """Return the metrics block of each of :func:`subgroups`, with its intervals under ``ci``.

    Those by region length also hold :func:`frame_recall`.

    Args:
        scores: the test clips.
        draws: bootstrap draws for each block; 0 leaves ``ci`` out.
        seed: seed of the draws.

    Raises:
        InputError: if only some clips have frame scores.
    """
    parts = subgroups(scores)
    blocks = _blocks_of_kinds(scores, parts, draws, seed)
    for name, part in parts["region_length"].items():
        blocks["region_length"][name]["frame_recall"] = frame_recall(part)
    return blocks


def fold_blocks(scores: Sequence[ClipScore], draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Return the metrics block of each of :func:`subsets`, the "test" object of ``metrics.json``.

    Blocks are under "all", "seen", "unseen" and, by name, under "attack"; intervals under ``ci``.

    Args:
        scores: the test clips.
        draws: bootstrap draws for each block; 0 leaves ``ci`` out.
        seed: seed of the draws.

    Raises:
        InputError: if only some clips have frame scores.
    """
    parts = subsets(scores)
    folds = {"all": parts.all, "seen": parts.seen, "unseen": parts.unseen}
    blocks = _blocks_of_kinds(scores, {"fold": folds, "attack": parts.attack}, draws, seed)
    return {**blocks["fold"], "attack": blocks["attack"]}


def _blocks_of_kinds(
    scores: Sequence[ClipScore], parts: Subgroups, draws: int, seed: int
) -> dict[str, dict[str, BlockWithIntervals]]:
    """Return `part_blocks` of the named parts of every kind, all with the same draws."""
    flat = {f"{kind}/{name}": part for kind in parts for name, part in parts[kind].items()}
    found = part_blocks(scores, flat, draws, seed)
    return {kind: {name: found[f"{kind}/{name}"] for name in parts[kind]} for kind in parts}


def _likenesses(clip: ClipScore) -> list[tuple[str, str]]:
    """Return the keys that a genuine partner may share with ``clip``, the closest first."""
    return [
        ("source", clip.source_id),
        ("domain", clip.domain),
        ("corpus", clip.corpus),
        ("any", ""),
    ]


def _shuffled(clip: ClipScore) -> tuple[int, str]:
    return crc32(clip.clip_id.encode()), clip.clip_id


def _paired(
    scores: Sequence[ClipScore], name: Callable[[ClipScore], str], order: Sequence[str] = ()
) -> dict[str, list[ClipScore]]:
    """Return the fakes of each name with their genuine partners."""
    genuines = [clip for clip in scores if not clip.fake]
    named: dict[str, list[ClipScore]] = {}
    for clip in scores:
        if clip.fake:
            named.setdefault(name(clip), []).append(clip)
    return {
        each: with_partners(named[each], genuines)
        for each in order or sorted(named)
        if each in named
    }


def _parts(
    scores: Sequence[ClipScore], names: Callable[[ClipScore], Iterable[str]]
) -> dict[str, list[ClipScore]]:
    """Return the clips of each name that a fake has."""
    held = {name for clip in scores if clip.fake for name in names(clip)}
    return {name: [clip for clip in scores if name in names(clip)] for name in sorted(held)}
