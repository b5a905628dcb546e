"""Draw the clips of a test so that only their sound reveals the fakes."""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from math import log

from fakesound.data.manifest import Clip
from fakesound.errors import InputError
from fakesound.metrics.scores import WHOLE_TOLERANCE


def draw_thirds(clips: Sequence[Clip], each: int, seed: int) -> list[Clip]:
    """Draw equal numbers (``each``) of partial fakes, whole fakes and genuine clips.

    Genuine clips are paired with the partial fakes (see `draw_pairs`); no source occurs twice.

    Raises:
        InputError: if there are not enough clips.
    """
    whole = [clip for clip in clips if clip.is_fake and _is_whole(clip)]
    names = {clip.clip_id for clip in whole}
    rest = [clip for clip in clips if clip.clip_id not in names]
    for kind, fakes_of_kind in (("whole", whole), ("partial", [c for c in rest if c.is_fake])):
        if not fakes_of_kind:
            raise InputError(f"--thirds: there are no {kind} fakes; name more manifests")
    # whole fakes first, because they are rarer
    fakes = draw_pairs(whole, each, seed, genuine=False)
    used = {source for pair in fakes for clip in pair for source in clip.sources}
    free = [clip for clip in rest if used.isdisjoint(clip.sources)]
    pairs = draw_pairs(free, each, seed)
    return [clip for pair in (*fakes, *pairs) for clip in pair]


def _is_whole(clip: Clip) -> bool:
    fake = sum(region.offset - region.onset for region in clip.regions)
    return fake >= clip.duration - WHOLE_TOLERANCE


def draw_pairs(
    clips: Sequence[Clip], pairs: int, seed: int, *, genuine: bool = True
) -> list[tuple[Clip, ...]]:
    """Draw pairs of a fake and a genuine clip with different sources.

    Attacks alternate, as do their families. No source occurs twice, neither in a fake and its
    genuine twin nor as a donor of spliced material. The genuine clip has the domain of its fake if
    possible, and the closest length, so that the length reveals nothing. The draw depends on the
    seed and the set of clips, not on their order.

    Args:
        clips: clips to draw from.
        pairs: number of pairs.
        seed: seed of the draw.
        genuine: whether to add a genuine clip to each fake.

    Raises:
        InputError: if there are not enough clips.
    """
    rng = random.Random(seed)
    shuffled = sorted(clips, key=lambda clip: clip.clip_id)
    rng.shuffle(shuffled)
    mates = [clip for clip in shuffled if not clip.is_fake] if genuine else None
    fakes: dict[str, list[Clip]] = defaultdict(list)
    for clip in shuffled:
        if clip.attack is not None:
            fakes[clip.attack].append(clip)
    turns = _in_turn(fakes)
    used: set[str] = set()
    drawn: list[tuple[Clip, ...]] = []
    while len(drawn) < pairs:
        before = len(drawn)
        for attack in turns[: pairs - before]:
            pair = _pair(fakes[attack], mates, used)
            if pair is not None:
                drawn.append(pair)
                used.update(source for clip in pair for source in clip.sources)
        if len(drawn) == before:
            shortage = f"--clips={2 * pairs}: only {2 * before} can be drawn, half of them genuine"
            if not genuine:
                shortage = f"--clips={3 * pairs}: only {before} whole fakes can be drawn"
            raise InputError(
                f"{shortage}, so that no source occurs twice; ask for fewer, or name more manifests"
            )
    return drawn


def _in_turn(attacks: Iterable[str]) -> list[str]:
    """Return ``attacks`` in an order in which families alternate."""
    families: dict[str, list[str]] = defaultdict(list)
    for attack in attacks:
        families[attack.partition("/")[0]].append(attack)
    rounds = zip_longest(*families.values())
    return [attack for names in rounds for attack in names if attack is not None]


def _pair(
    fakes: Sequence[Clip], genuine: Sequence[Clip] | None, used: set[str]
) -> tuple[Clip, ...] | None:
    for fake in fakes:
        if not used.isdisjoint(fake.sources):
            continue
        if genuine is None:
            return (fake,)
        taken = {*used, *fake.sources}
        fresh = [clip for clip in genuine if taken.isdisjoint(clip.sources)]
        if fresh:
            return fake, min(fresh, key=lambda clip: _distance(fake, clip))
    return None


def _distance(fake: Clip, genuine: Clip) -> tuple[bool, float]:
    return fake.domain != genuine.domain, abs(log(fake.duration / genuine.duration))
