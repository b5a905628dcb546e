"""Metrics of subgroups of a test set, such as seen and unseen attacks or each attack."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from fakesound.metrics.frames import frame_table
from fakesound.metrics.localisation import frame_thresholds
from fakesound.metrics.resampling import part_blocks
from fakesound.metrics.scores import REGION_TOLERANCE, ClipScore, has_frames
from fakesound.timeline import merge_regions, microseconds

Subgroups = dict[str, dict[str, list[ClipScore]]]

WHOLE_CLIP = "whole clip"
# names and upper bounds in microseconds, exclusive
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
        all: all clips.
        seen: fakes whose attack was in training, and all genuine clips.
        unseen: fakes whose attack was not in training, and all genuine clips.
        attack: fakes of each attack with their genuine partners.
    """

    all: list[ClipScore]
    seen: list[ClipScore]
    unseen: list[ClipScore]
    attack: dict[str, list[ClipScore]]

    @property
    def folds(self) -> dict[str, list[ClipScore]]:
        """Seen and unseen part by name, without empty ones."""
        parts = {"seen": self.seen, "unseen": self.unseen}
        return {name: clips for name, clips in parts.items() if clips}

    @property
    def parts(self) -> dict[str, list[ClipScore]]:
        """Whole test and its folds by name, without empty ones."""
        return ({"all": self.all} if self.all else {}) | self.folds


def subsets(scores: Sequence[ClipScore]) -> Subsets:
    """Return the parts of a test set that are reported separately.

    Fakes without a fold, whose attack was used for model selection, are in ``all`` and in their
    attack. A fold without fakes is empty, because genuine clips alone would look like success. Each
    attack has as many genuine clips as fakes (see :func:`with_partners`): F1 depends on the share
    of fakes, so that with all genuine clips attacks with more fakes would look better.
    """
    genuine = [clip for clip in scores if not clip.fake]

    def part(fakes: list[ClipScore]) -> list[ClipScore]:
        return [*fakes, *genuine] if fakes else []

    return Subsets(
        all=list(scores),
        seen=part([clip for clip in scores if clip.fake and clip.fold == "seen"]),
        unseen=part([clip for clip in scores if clip.fake and clip.fold == "unseen"]),
        attack=_fakes_with_partners(scores, lambda clip: clip.attack or ""),
    )


def subgroups(scores: Sequence[ClipScore]) -> Subgroups:
    """Return subgroups of a test set.

    Groups by attack "family" and by "region_length", the longest region of a fake, contain the
    genuine partners of their fakes (see :func:`with_partners`); groups by "corpus" and by official
    "subset" contain the genuine clips of the same one. Groups without fakes are omitted. Lengths
    are in ascending order, names in alphabetical order.
    """
    return {
        "family": _fakes_with_partners(scores, lambda clip: (clip.attack or "").split("/")[0]),
        "region_length": _fakes_with_partners(scores, region_length, (*REGION_LENGTHS, WHOLE_CLIP)),
        "corpus": _parts(scores, lambda clip: [clip.corpus]),
        "subset": _parts(scores, lambda clip: clip.subsets),
    }


def with_partners(fakes: Sequence[ClipScore], genuine: Sequence[ClipScore]) -> list[ClipScore]:
    """Return ``fakes`` with one genuine partner each, as long as there are enough.

    The partner of a fake is a genuine clip of the same source; if there is none left, one of the
    same domain, else of the same corpus, else any. Each genuine clip is used once. The choice
    depends only on names, so it is the same for every system.
    """
    free = {clip.clip_id: clip for clip in sorted(genuine, key=_shuffle_key)}
    partners: list[ClipScore] = []
    waiting = sorted(fakes, key=_shuffle_key)
    for key in (
        lambda clip: clip.source_id,
        lambda clip: clip.domain,
        lambda clip: clip.corpus,
        lambda clip: "",
    ):
        pools: dict[str, list[ClipScore]] = {}
        for clip in free.values():
            pools.setdefault(key(clip), []).append(clip)
        unmatched = []
        for fake in waiting:
            if pool := pools.get(key(fake)):
                partners.append(free.pop(pool.pop().clip_id))
            else:
                unmatched.append(fake)
        waiting = unmatched
    return [*fakes, *partners]


def region_length(clip: ClipScore) -> str:
    """Return the length group of a fake's longest region, after merging touching regions."""
    duration = microseconds(clip.duration)
    longest = max(
        min(microseconds(region.offset), duration) - microseconds(region.onset)
        for region in merge_regions(clip.regions)
    )
    if longest >= duration - microseconds(REGION_TOLERANCE):
        return WHOLE_CLIP
    return next(name for name, bound in REGION_LENGTHS.items() if bound is None or longest < bound)


def frame_recall(scores: Sequence[ClipScore]) -> float | None:
    """Return the share of fake frames with a score above the clip's frame threshold.

    None without fakes, and for a system that only scores clips.

    Raises:
        InputError: if only some clips have frame scores.
    """
    if not has_frames(scores):
        return None
    table = frame_table(scores)
    fakes = int(table.frame_fake.sum())
    hits = int((table.frame_fake & table.called(frame_thresholds(scores))).sum())
    return hits / fakes if fakes else None


def subset_blocks(scores: Sequence[ClipScore], draws: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Return the metrics block of each of :func:`subsets` and :func:`subgroups`.

    The result has the objects "test" and "partition" of ``metrics.json``. The blocks of "test" are
    under "all", "seen", "unseen" and, by name, under "attack". Those of "partition" are by kind and
    name; by region length, they also contain :func:`frame_recall`. Intervals are under ``ci``.

    Args:
        scores: scores of the test clips.
        draws: number of bootstrap draws; 0 for no ``ci``.
        seed: seed of the draws.

    Raises:
        InputError: if only some clips have frame scores.
    """
    parts, groups = subsets(scores), subgroups(scores)
    folds = {"all": parts.all, "seen": parts.seen, "unseen": parts.unseen}
    kinds = {"fold": folds, "attack": parts.attack, **groups}
    flat = {(kind, name): part for kind in kinds for name, part in kinds[kind].items()}
    # in one call, so that all have the same draws
    of_part = part_blocks(scores, flat, draws, seed)
    blocks: dict[str, Any] = {
        kind: {name: of_part[kind, name] for name in kinds[kind]} for kind in kinds
    }
    for name, part in groups["region_length"].items():
        blocks["region_length"][name]["frame_recall"] = frame_recall(part)
    test = {**blocks.pop("fold"), "attack": blocks.pop("attack")}
    return {"test": test, "partition": blocks}


def _shuffle_key(clip: ClipScore) -> tuple[int, str]:
    return crc32(clip.clip_id.encode()), clip.clip_id


def _fakes_with_partners(
    scores: Sequence[ClipScore], name: Callable[[ClipScore], str], order: Sequence[str] = ()
) -> dict[str, list[ClipScore]]:
    """Return the fakes of each name with their genuine partners."""
    genuine = [clip for clip in scores if not clip.fake]
    named: dict[str, list[ClipScore]] = {}
    for clip in scores:
        if clip.fake:
            named.setdefault(name(clip), []).append(clip)
    return {
        group: with_partners(named[group], genuine)
        for group in order or sorted(named)
        if group in named
    }


def _parts(
    scores: Sequence[ClipScore], names: Callable[[ClipScore], Iterable[str]]
) -> dict[str, list[ClipScore]]:
    """Return the clips of each name, for names with fakes."""
    with_fakes = {name for clip in scores if clip.fake for name in names(clip)}
    return {name: [clip for clip in scores if name in names(clip)] for name in sorted(with_fakes)}
