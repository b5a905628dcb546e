"""Draw the fakes of training pairs, so that no page and no generator dominates."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np
from jaxtyping import Float

from fakesound.clip import Clip
from fakesound.config import PublishedConfig

# iterations that cut shares above their cap and scale up the others
ROUNDS = 100


class FakeDraw:
    """Draw the indices of fakes.

    For a forged fake, the attack is drawn first, then a clip uniformly. For a published fake, which
    has a ``decoder``, the family is drawn uniformly, then a page with the root of its number of
    fakes as weight, then generator and clip uniformly. Shares above the caps go to the others.

    Args:
        clips: clips of the training set.
        published: share of forged fakes, and caps of pages and generators.
        weights: relative frequency of forged attacks by name or glob, 1 by default.
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
        # arrays, since a draw from a list would copy it
        self.attacks = [np.array(groups[name]) for name in sorted(groups)]
        chance = np.array([_weight(name, weights) for name in sorted(groups)])
        self.chance = chance / chance.sum() if len(chance) else chance
        self.published = np.array(generated, dtype=int)
        published_clips = [clips[i] for i in generated]
        self.share = published_shares(published_clips, published.page, published.generator)
        self.cumulated = np.cumsum(self.share)
        self.forged = (published.forged if generated else 1.0) if groups else 0.0

    def __call__(self, rng: np.random.Generator) -> int:
        """Return the index of a fake."""
        # an unneeded draw would change all later ones
        if self.forged == 1 or (self.forged > 0 and rng.random() < self.forged):
            return int(rng.choice(self.attacks[rng.choice(len(self.attacks), p=self.chance)]))
        position = np.searchsorted(self.cumulated, rng.random() * self.cumulated[-1], side="right")
        return int(self.published[min(position, len(self.published) - 1)])


def published_shares(
    clips: Sequence[Clip], page: float, generator: float
) -> Float[np.ndarray, " clip"]:
    """Return the share of each of ``clips`` when `FakeDraw` draws published fakes.

    A cap that is too low for the number of pages or generators is raised to an even share.
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
    # number of fakes, and of generators, by family and page
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
    """Return the weight of ``attack`` by its name, or by the longest glob that it matches; or 1."""
    globs = sorted((p for p in weights if fnmatchcase(attack, p)), key=len, reverse=True)
    return weights[attack] if attack in weights else weights[globs[0]] if globs else 1.0
