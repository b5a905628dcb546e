"""Which clips train, validate and test: disjoint in sources, with attacks held out."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

from fakesound.data.manifest import Clip
from fakesound.errors import InputError


@dataclass(frozen=True)
class Split:
    """The clips of an experiment.

    Attributes:
        train, validation, test: disjoint in sources, donors included.
        held_out: attacks that neither training nor validation may see.
        inner_held_out: attacks that only validation and test may see, so that model selection and
            thresholds face attacks unknown to the model.
    """

    train: tuple[Clip, ...]
    validation: tuple[Clip, ...]
    test: tuple[Clip, ...]
    held_out: tuple[str, ...] = ()
    inner_held_out: tuple[str, ...] = ()

    def fold(self, clip: Clip) -> str | None:
        """Return "seen" or "unseen" for a fake by its attack; None for genuine and inner ones."""
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
) -> Split:
    """Return the split of ``clips`` by their ``split`` field, attacks held out.

    With both lists empty this is the corpus's official split. ``seen_per_genuine`` limits the seen
    fakes of validation and test to so many per genuine clip, taken in order of clip id and spread
    over attacks, so that seen and unseen blocks compare at the same share of fakes.

    Raises:
        InputError: if an attack is both held out and inner held out, a part ends up without genuine
            or without fake clips, or a source crosses parts.
    """
    both = set(held_out) & set(inner_held_out)
    if both:
        raise InputError(
            f"split.inner_held_out={sorted(both)[0]}: is held out already; choose another attack"
        )
    hidden = set(held_out) | set(inner_held_out)
    part = {name: [c for c in clips if c.split == name] for name in ("train", "validation", "test")}
    split = Split(
        train=tuple(c for c in part["train"] if c.attack not in hidden),
        validation=_limit(
            [c for c in part["validation"] if c.attack not in held_out], hidden, seen_per_genuine
        ),
        test=_limit(part["test"], hidden, seen_per_genuine),
        held_out=tuple(held_out),
        inner_held_out=tuple(inner_held_out),
    )
    check_split(split)
    return split


def check_split(split: Split) -> None:
    """Make sure that ``split`` is complete and leaks nothing.

    Raises:
        InputError: naming the source that crosses, the attack that leaked or the part that lacks
            genuine or fake clips.
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
    leaks = {"train": (*split.held_out, *split.inner_held_out), "validation": split.held_out}
    for name, attacks in leaks.items():
        for clip in parts[name]:
            if clip.attack in attacks:
                raise InputError(
                    f"split: held-out attack {clip.attack} is in {name}; drop its clips"
                )


def inner_attack(held_out: Sequence[str], attacks: Sequence[str]) -> str:
    """Return the attack to hold out of training for model selection: of a family not held out.

    The choice goes round the attacks with those held out, so that a leave-one-attack-out sweep
    does not lean on one of them.

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
    """Return ``clips`` with at most that many seen fakes per genuine one, attacks in turn."""
    seen = [clip for clip in clips if clip.attack is not None and clip.attack not in hidden]
    allowed = len(seen)
    if seen_per_genuine is not None:
        allowed = seen_per_genuine * sum(not clip.is_fake for clip in clips)
    kept = {clip.clip_id for clip in _in_turn(seen, lambda c: c.attack or "")[:allowed]}
    return tuple(c for c in clips if c.attack is None or c.attack in hidden or c.clip_id in kept)


def _in_turn(clips: Sequence[Clip], key: Callable[[Clip], str]) -> list[Clip]:
    """Return ``clips`` ordered so that the values of ``key`` take turns."""
    groups: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in sorted(clips, key=lambda c: c.clip_id):
        groups[key(clip)].append(clip)
    ranked = [(rank, name, c) for name, group in groups.items() for rank, c in enumerate(group)]
    return [clip for _, _, clip in sorted(ranked, key=lambda item: item[:2])]
