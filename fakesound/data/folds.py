"""Sources dealt into folds, or into training and validation, all that shares material together."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Int

from fakesound.data.manifest import Clip
from fakesound.errors import InputError


def linked(links: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Return for each name the one that stands for all names that ``links`` join to it.

    That is the one of them that came first.
    """
    number: dict[str, int] = {}
    parent: list[int] = []

    def root(name: str) -> int:
        if name not in number:
            number[name] = len(parent)
            parent.append(len(parent))
        at = number[name]
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for first, *others in links:
        here = root(first)
        for other in others:
            here, there = sorted((here, root(other)))
            parent[there] = here
    names = list(number)
    return {name: names[root(name)] for name in names}


def source_groups(clips: Iterable[Clip]) -> dict[str, str]:
    """Return for each source, donors included, the name of its group.

    Sources that are in one clip, as source and donor, are in one group; so are those that clips
    join one to the next.
    """
    return linked(sorted({clip.sources for clip in clips}))


def deal_groups(
    clips: Sequence[Clip], shares: Sequence[float], seed: int = 0
) -> Int[np.ndarray, " clip"]:
    """Return which of the piles each of ``clips`` goes to; a group of sources goes to one.

    Groups are dealt from the largest down, equal ones in random order, each to the pile that lacks
    the most of what is in it: of every attack, and of genuine clips, a pile gets its share as
    nearly as whole groups allow (after the iterative stratification of Sechidis et al. 2011).
    The order of ``clips`` does not matter.
    """
    groups = source_groups(clips)
    names = {name: row for row, name in enumerate(sorted(set(groups.values())))}
    strata = {name: column for column, name in enumerate(sorted({c.attack or "" for c in clips}))}
    rows = np.array([names[groups[clip.source_id]] for clip in clips], dtype=int)
    columns = np.array([strata[clip.attack or ""] for clip in clips], dtype=int)
    counts = np.zeros((len(names), len(strata)))
    np.add.at(counts, (rows, columns), 1)
    parts = counts / counts.sum(axis=0)
    drawn = np.random.default_rng(seed).permutation(len(names))
    wanted, filled = np.array(shares)[:, None], np.zeros((len(shares), len(strata)))
    dealt, piles = np.zeros(len(strata)), np.zeros(len(names), dtype=int)
    for group in sorted(drawn, key=lambda row: -counts[row].sum()):
        dealt += parts[group]
        # half of the group counts as there, so that a large one does not overfill a small pile
        excess = filled + parts[group] / 2 - wanted * dealt
        piles[group] = np.argmin((excess * counts[group]).sum(axis=1).round(9))
        filled[piles[group]] += parts[group]
    return piles[rows]


def deal_folds(clips: Sequence[Clip], folds: int, seed: int = 0) -> Int[np.ndarray, " clip"]:
    """Return the fold of each of ``clips``, from 0: disjoint in sources, donors included.

    Raises:
        InputError: if a fold ends up without genuine clips, or without fakes where there are some.
    """
    dealt = deal_groups(clips, [1 / folds] * folds, seed)
    for label in sorted({clip.label for clip in clips}, reverse=True):
        held = {fold for clip, fold in zip(clips, dealt, strict=True) if clip.label == label}
        if empty := set(range(folds)) - held:
            groups = source_groups(clips)
            sizes = Counter(groups[clip.source_id] for clip in clips)
            largest = min(sizes, key=lambda name: (-sizes[name], name))
            raise InputError(
                f"split.folds={folds}: fold {min(empty)} gets no {label} clips; there are "
                f"{len(sizes)} groups of sources that share material, the largest, of {largest!r}, "
                f"with {sizes[largest]} of {len(clips)} clips; take fewer folds, or split=official"
            )
    return dealt


def part_of_fold(index: int, fold: int, folds: int) -> str:
    """Return the part of fold ``index`` when ``fold`` is tested: the next one validates."""
    return {0: "test", 1: "validation"}.get((index - fold) % folds, "train")


def split_by_fold(clips: Sequence[Clip], fold: int, folds: int, seed: int = 0) -> list[Clip]:
    """Return ``clips`` with the split that each has when ``fold`` is tested.

    Raises:
        InputError: as `deal_folds`.
    """
    dealt = deal_folds(clips, folds, seed)
    return [
        replace(clip, split=part_of_fold(int(index), fold, folds))
        for clip, index in zip(clips, dealt, strict=True)
    ]


def carve_validation(clips: Sequence[Clip], share: float, seed: int = 0) -> list[Clip]:
    """Return ``clips`` with those that have no split dealt to training and validation.

    Groups of sources that hold training or validation clips already go where these are; of the
    others, validation gets ``share``.

    Raises:
        InputError: if there are too few groups for both.
    """
    groups = source_groups(clip for clip in clips if clip.split != "test")
    taken = {groups[clip.source_id]: "train" for clip in clips if clip.split == "train"}
    taken |= {groups[clip.source_id]: "validation" for clip in clips if clip.split == "validation"}
    free = [clip for clip in clips if clip.split is None and groups[clip.source_id] not in taken]
    piles = deal_groups(free, [1 - share, share], seed)
    for clip, pile in zip(free, piles, strict=True):
        taken[groups[clip.source_id]] = ("train", "validation")[pile]
    if len(set(taken.values())) < 2:
        raise InputError(
            f"split.validation_share={share}: {len(set(taken))} groups of sources that share "
            "material are too few to take validation from; raise it, or give validation rows"
        )
    return [
        clip if clip.split is not None else replace(clip, split=taken[groups[clip.source_id]])
        for clip in clips
    ]
