"""Which clips people hear: as many genuine as fake, and nothing but the sound to tell them by."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from math import log

from fakesound.data.manifest import Clip
from fakesound.errors import InputError


def draw_pairs(clips: Sequence[Clip], pairs: int, seed: int) -> list[tuple[Clip, Clip]]:
    """Return ``pairs`` of a fake and a genuine clip of other sources.

    Attacks come in turn, their families alternating. No source occurs twice, neither as a fake
    and its genuine twin nor as a donor of spliced material. The genuine clip is of the domain of
    its fake where there is one left, and of them nearest in length, so that length reveals nothing.
    The draw depends on the seed and the clips, not on their order.

    Raises:
        InputError: if there are not so many.
    """
    rng = random.Random(seed)
    shuffled = sorted(clips, key=lambda clip: clip.clip_id)
    rng.shuffle(shuffled)
    genuine = [clip for clip in shuffled if not clip.is_fake]
    fakes: dict[str, list[Clip]] = defaultdict(list)
    for clip in shuffled:
        if clip.attack is not None:
            fakes[clip.attack].append(clip)
    turns = _in_turn(fakes)
    used: set[str] = set()
    drawn: list[tuple[Clip, Clip]] = []
    while len(drawn) < pairs:
        before = len(drawn)
        for attack in turns[: pairs - before]:
            pair = _pair(fakes[attack], genuine, used)
            if pair is not None:
                drawn.append(pair)
                used.update(pair[0].sources, pair[1].sources)
        if len(drawn) == before:
            raise InputError(
                f"--clips={2 * pairs}: only {2 * before} can be drawn, half of them genuine, so "
                "that no source occurs twice; ask for fewer, or name more manifests"
            )
    return drawn


def _in_turn(attacks: Iterable[str]) -> list[str]:
    """Return ``attacks``, one of each family after another."""
    families: dict[str, list[str]] = defaultdict(list)
    for attack in attacks:
        families[attack.partition("/")[0]].append(attack)
    rounds = zip_longest(*families.values())
    return [attack for names in rounds for attack in names if attack is not None]


def _pair(
    fakes: Sequence[Clip], genuine: Sequence[Clip], used: set[str]
) -> tuple[Clip, Clip] | None:
    for fake in fakes:
        if not used.isdisjoint(fake.sources):
            continue
        taken = {*used, *fake.sources}
        fresh = [clip for clip in genuine if taken.isdisjoint(clip.sources)]
        if fresh:
            return fake, min(fresh, key=lambda clip: _distance(fake, clip))
    return None


def _distance(fake: Clip, genuine: Clip) -> tuple[bool, float]:
    return fake.domain != genuine.domain, abs(log(fake.duration / genuine.duration))
