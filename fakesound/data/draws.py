"""Which fake a training pair is made of: a mixture that no page and no generator dominates."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np
from jaxtyping import Float

from fakesound.clip import Clip
from fakesound.config import PublishedConfig

# rounds in which shares above their cap are cut and the rest is scaled up
ROUNDS = 100


class FakeDraw:
    """Draws the indices of fakes.

    A forged fake is drawn by its attack, then evenly. A published one, which has a ``decoder``, by
    family evenly, then by page as the root of how many fakes it has, then evenly by generator and
    clip; shares above the caps go to the others.

    Args:
        clips: clips of the training set.
        published: shares of forged fakes, pages and generators in the draws.
        weights: relative frequency of forged attacks, by name or glob; 1 for the rest.
    """

    def __init__(
        self, clips: Sequence[Clip], published: PublishedConfig, weights: Mapping[str, float]
    ) -> None:
        groups: defaultdict[str, list[int]] = defaultdict(list)
        generated: list[int] = []
        for index, clip in enumerate(clips):
            if clip.attack is not None and clip.decoder is None:
                groups[clip.attack].append(index)
            elif clip.attack is not None:
                generated.append(index)
        # arrays: a draw from a list would copy all of it
        self.attacks = [np.array(groups[name]) for name in sorted(groups)]
        chance = np.array([_weight(name, weights) for name in sorted(groups)])
        self.chance = chance / chance.sum() if len(chance) else chance
        self.published = np.array(generated, dtype=int)
        found = [clips[i] for i in generated]
        self.share = published_shares(found, published.page, published.generator)
        self.below = np.cumsum(self.share)
        self.forged = (published.forged if generated else 1.0) if groups else 0.0

    def __call__(self, rng: np.random.Generator) -> int:
        """Return the index of a fake."""
        # no draw where there is no choice: it would move all others
        if self.forged == 1 or (self.forged > 0 and rng.random() < self.forged):
            return int(rng.choice(self.attacks[rng.choice(len(self.attacks), p=self.chance)]))
        place = np.searchsorted(self.below, rng.random() * self.below[-1], side="right")
        return int(self.published[min(place, len(self.published) - 1)])


def published_shares(
    clips: Sequence[Clip], page: float, generator: float
) -> Float[np.ndarray, " clip"]:
    """Return the share of draws of each of ``clips``, as `FakeDraw` draws published fakes.

    A cap that cannot hold, as there are too few pages or generators, is raised to an even share.
    """
    if not clips:
        return np.zeros(0)
    names = [(clip.family or "", clip.domain, clip.attack or "") for clip in clips]
    families, pages, generators = (
        np.unique([str(part) for part in column], return_inverse=True)[1]
        for column in zip(*names, strict=True)
    )
    cell_of: dict[tuple[str, str, str], int] = {}
    cells = np.array([cell_of.setdefault(name, len(cell_of)) for name in names])
    first = np.array([names.index(name) for name in cell_of])
    of_family, of_page, of_generator = families[first], pages[first], generators[first]
    per_cell = np.bincount(cells)
    # the fakes that a family has on a page, and the generators that it has there
    on_page: defaultdict[tuple[int, int], float] = defaultdict(float)
    kinds: defaultdict[tuple[int, int], int] = defaultdict(int)
    for cell, where in enumerate(zip(of_family, of_page, strict=True)):
        on_page[where] += per_cell[cell]
        kinds[where] += 1
    share = np.array(
        [np.sqrt(on_page[where]) / kinds[where] for where in zip(of_family, of_page, strict=True)]
    )
    share /= np.bincount(of_family, share)[of_family] * len(np.unique(of_family))
    page = max(page, 1 / (of_page.max() + 1))
    generator = max(generator, 1 / (of_generator.max() + 1))
    for _ in range(ROUNDS):
        for cap, of in ((page, of_page), (generator, of_generator)):
            total = np.bincount(of, share)
            share *= np.minimum(1, cap / np.maximum(total, 1e-12))[of]
        share /= share.sum()
    return (share / per_cell)[cells]


def _weight(attack: str, weights: Mapping[str, float]) -> float:
    """Return the weight of ``attack``: by its name, else by the longest glob it matches, else 1."""
    globs = sorted((p for p in weights if fnmatchcase(attack, p)), key=len, reverse=True)
    return weights[attack] if attack in weights else weights[globs[0]] if globs else 1.0
