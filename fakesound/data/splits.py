"""Split clips into training, validation and test, with disjoint sources and held-out attacks."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from jaxtyping import Int
from msgspec.structs import replace

from fakesound.clip import Clip
from fakesound.errors import InputError


@dataclass(frozen=True)
class Split:
    """The clips of an experiment.

    Attributes:
        train, validation, test: clips, disjoint in sources, donors included.
        held_out: attacks that only the test contains.
        inner_held_out: attacks that only validation and test contain, so that unseen attacks select
            the model and its thresholds.
        control: whether training contains the held-out attacks as well, for comparison.
    """

    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]
    held_out: tuple[str, ...] = ()
    inner_held_out: tuple[str, ...] = ()
    control: bool = False

    def fold(self, clip: Clip) -> str | None:
        """Return "seen" or "unseen" for a fake; None for genuine and inner held-out clips."""
        if clip.attack is None or clip.attack in self.inner_held_out:
            return None
        return "seen" if clip.attack in self.trained_on else "unseen"

    @cached_property
    def trained_on(self) -> frozenset[str | None]:
        """Attacks of the training clips, and None if any is genuine."""
        return frozenset(clip.attack for clip in self.train)


def split_clips(
    clips: Sequence[Clip],
    held_out: Sequence[str] = (),
    inner_held_out: Sequence[str] = (),
    seen_per_genuine: int | None = None,
    control: bool = False,
) -> Split:
    """Return the split of ``clips`` by their ``split`` field, with attacks held out.

    With both lists empty, this is the official split of the corpus. ``seen_per_genuine`` limits the
    number of seen fakes per genuine clip in validation and test, evenly over attacks, so that seen
    and unseen blocks have the same share of fakes. With ``control``, training also contains the
    held-out attacks, and validation and test are the same.

    Raises:
        InputError: if an attack is both held out and inner held out, a split has no genuine or no
            fake clips, or a source is in two splits.
    """
    both = set(held_out) & set(inner_held_out)
    if both:
        raise InputError(
            f"split.inner_held_out={min(both)}: is already held out; choose another attack"
        )
    hidden = set(held_out) | set(inner_held_out)
    part = {name: [c for c in clips if c.split == name] for name in ("train", "validation", "test")}
    split = Split(
        train=tuple(
            c for c in part["train"] if c.attack not in (set(inner_held_out) if control else hidden)
        ),
        validation=_limit(
            [c for c in part["validation"] if c.attack not in held_out], hidden, seen_per_genuine
        ),
        test=_limit(part["test"], hidden, seen_per_genuine),
        held_out=tuple(held_out),
        inner_held_out=tuple(inner_held_out),
        control=control,
    )
    check_split(split)
    return split


def check_split(split: Split) -> None:
    """Check that ``split`` is complete and has no leak.

    Raises:
        InputError: naming the source in two splits, the held-out attack in training, or the split
            without genuine or fake clips.
    """
    parts = {"train": split.train, "validation": split.validation, "test": split.test}
    for name, clips in parts.items():
        labels = Counter(clip.label for clip in clips)
        for label in ("genuine", "fake"):
            if not labels[label]:
                raise InputError(
                    f"split: no {label} clips in {name} (of {len(clips)}); give more clips or hold "
                    "out fewer attacks"
                )
    sources = {name: {s for clip in clips for s in clip.sources} for name, clips in parts.items()}
    for (one, these), (other, those) in combinations(sources.items(), 2):
        if shared := these & those:
            raise InputError(
                f"split: source {min(shared)!r} is in {one} and {other} ({len(shared)} such); a "
                "source and its donors must stay in one part"
            )
    hidden = split.inner_held_out if split.control else (*split.held_out, *split.inner_held_out)
    leaks = {"train": hidden, "validation": split.held_out}
    for name, attacks in leaks.items():
        for clip in parts[name]:
            if clip.attack in attacks:
                raise InputError(
                    f"split: held-out attack {clip.attack} is in {name}; drop its clips"
                )


def inner_attack(held_out: Sequence[str], attacks: Sequence[str]) -> str:
    """Return the attack to hold out for model selection, from a family that is not held out.

    The choice depends on the held-out attacks, so that a leave-one-attack-out sweep does not use
    the same attack every time.

    Raises:
        InputError: if every family is held out.
    """
    names = sorted(attacks)
    families = {name.split("/")[0] for name in held_out}
    after = names.index(max(held_out)) if held_out and max(held_out) in names else 0
    for name in names[after:] + names[:after]:
        if name.split("/")[0] not in families and name not in held_out:
            return name
    raise InputError(
        "split.inner_held_out=auto: every attack family is held out; name an attack, or null"
    )


def _limit(
    clips: Sequence[Clip], hidden: set[str], seen_per_genuine: int | None
) -> tuple[Clip, ...]:
    """Return ``clips`` with a limited number of seen fakes per genuine clip, evenly by attack."""
    seen = [clip for clip in clips if clip.attack is not None and clip.attack not in hidden]
    allowed = len(seen)
    if seen_per_genuine is not None:
        allowed = seen_per_genuine * sum(not clip.is_fake for clip in clips)
    limited = {clip.clip_id for clip in _in_turn(seen, lambda c: c.attack or "")[:allowed]}
    return tuple(c for c in clips if c.attack is None or c.attack in hidden or c.clip_id in limited)


def _in_turn(clips: Sequence[Clip], key: Callable[[Clip], str]) -> list[Clip]:
    """Return ``clips`` ordered so that the values of ``key`` take turns."""
    groups: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda c: c.clip_id):
        groups[key(clip)].append(clip)
    ranked = [(rank, name, c) for name, group in groups.items() for rank, c in enumerate(group)]
    return [clip for _, _, clip in sorted(ranked, key=lambda item: item[:2])]


def linked(links: Iterable[tuple[str, ...]]) -> dict[str, str]:
    """Return for each name the first of all names that ``links`` connect to it."""
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
    """Return the group of each source, donors included.

    Sources are in one group if a clip, or a chain of clips, connects them as source and donor.
    """
    return linked(sorted({clip.sources for clip in clips}))


def deal_groups(
    clips: Sequence[Clip], shares: Sequence[float], seed: int = 0
) -> Int[np.ndarray, " clip"]:
    """Return the bin of each clip; all clips of a group of sources are in one bin.

    Groups are assigned from the largest down, equal ones in random order, each to the bin that
    lacks its content most. So every bin gets its share of every attack and of genuine clips, as
    nearly as whole groups allow (after the iterative stratification of Sechidis et al. 2011). The
    order of ``clips`` does not matter.

    Args:
        clips: clips to assign.
        shares: share of the clips for each bin.
        seed: seed of the order of equal groups.
    """
    groups = source_groups(clips)
    names = {name: row for row, name in enumerate(sorted(set(groups.values())))}
    strata = {name: column for column, name in enumerate(sorted({c.attack or "" for c in clips}))}
    rows = np.array([names[groups[clip.source_id]] for clip in clips], dtype=int)
    columns = np.array([strata[clip.attack or ""] for clip in clips], dtype=int)
    counts = np.zeros((len(names), len(strata)))
    np.add.at(counts, (rows, columns), 1)
    parts = counts / counts.sum(axis=0)
    order = np.random.default_rng(seed).permutation(len(names))
    targets, filled = np.array(shares)[:, None], np.zeros((len(shares), len(strata)))
    assigned, bins = np.zeros(len(strata)), np.zeros(len(names), dtype=int)
    for group in sorted(order, key=lambda row: -counts[row].sum()):
        assigned += parts[group]
        # half of the group counts as present, so that a large one does not overfill a small bin
        excess = filled + parts[group] / 2 - targets * assigned
        bins[group] = np.argmin((excess * counts[group]).sum(axis=1).round(9))
        filled[bins[group]] += parts[group]
    return bins[rows]


def deal_folds(clips: Sequence[Clip], folds: int, seed: int = 0) -> Int[np.ndarray, " clip"]:
    """Return the fold of each clip, from 0; folds are disjoint in sources, donors included.

    Raises:
        InputError: if a fold has no genuine clips, or no fakes although the corpus has some.
    """
    folds_of_clips = deal_groups(clips, [1 / folds] * folds, seed)
    for label in sorted({clip.label for clip in clips}, reverse=True):
        filled = {
            fold for clip, fold in zip(clips, folds_of_clips, strict=True) if clip.label == label
        }
        if empty := set(range(folds)) - filled:
            groups = source_groups(clips)
            sizes = Counter(groups[clip.source_id] for clip in clips)
            largest = min(sizes, key=lambda name: (-sizes[name], name))
            raise InputError(
                f"split.folds={folds}: fold {min(empty)} gets no {label} clips; there are "
                f"{len(sizes)} groups of sources that share material, and the largest, of "
                f"{largest!r}, has {sizes[largest]} of {len(clips)} clips; use fewer folds, or "
                "split=official"
            )
    return folds_of_clips


def part_of_fold(index: int, fold: int, folds: int) -> str:
    """Return the split of fold ``index`` when ``fold`` is tested; the next one validates."""
    return {0: "test", 1: "validation"}.get((index - fold) % folds, "train")


def split_by_fold(clips: Sequence[Clip], fold: int, folds: int, seed: int = 0) -> list[Clip]:
    """Return ``clips`` with their splits when ``fold`` is tested.

    Raises:
        InputError: as `deal_folds`.
    """
    folds_of_clips = deal_folds(clips, folds, seed)
    return [
        replace(clip, split=part_of_fold(int(index), fold, folds))
        for clip, index in zip(clips, folds_of_clips, strict=True)
    ]


def carve_validation(clips: Sequence[Clip], share: float, seed: int = 0) -> list[Clip]:
    """Divide the clips without a split into training and validation.

    Groups of sources with training or validation clips keep that split; validation gets ``share``
    of the others.

    Raises:
        InputError: if there are too few groups for both.
    """
    groups = source_groups(clip for clip in clips if clip.split != "test")
    parts = {groups[clip.source_id]: "train" for clip in clips if clip.split == "train"}
    parts |= {groups[clip.source_id]: "validation" for clip in clips if clip.split == "validation"}
    free = [clip for clip in clips if clip.split is None and groups[clip.source_id] not in parts]
    bins = deal_groups(free, [1 - share, share], seed)
    for clip, index in zip(free, bins, strict=True):
        parts[groups[clip.source_id]] = ("train", "validation")[index]
    if len(set(parts.values())) < 2:
        raise InputError(
            f"split.validation_share={share}: {len(set(parts))} groups of sources that share "
            "material are too few to take validation from; raise it, or give validation rows"
        )
    return [
        clip if clip.split is not None else replace(clip, split=parts[groups[clip.source_id]])
        for clip in clips
    ]
