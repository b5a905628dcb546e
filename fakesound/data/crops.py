"""Training crops, with regions cut in on the fly."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np
from jaxtyping import Float
from torch.utils.data import Dataset

from fakesound.data.audio import from_pcm, to_pcm
from fakesound.data.compose import Cut, Pcm, cut_in, draw_cuts
from fakesound.data.dataset import Batch, item_of, read_clip
from fakesound.data.manifest import Clip
from fakesound.timeline import FrameGrid, Region

# takes a crop, how many samples of it are not padding, their rate, and what to draw from
Augment = Callable[
    [Float[np.ndarray, " sample"], int, int, np.random.Generator], Float[np.ndarray, " sample"]
]

# takes a recording, the same remade by an attack, their rate, and what to draw from
Vary = Callable[
    [Float[np.ndarray, " sample"], Float[np.ndarray, " sample"], int, np.random.Generator],
    Float[np.ndarray, " sample"],
]


@dataclass(frozen=True)
class CropSettings:
    """How training crops are drawn.

    Attributes:
        seconds: length of a crop.
        whole: share of fake crops that are fake throughout.
        shortest: seconds of the shortest region; up to 90 % of the crop, log-uniform.
        most: regions in a crop at most.
        foreign: share of fakes that are cut into another recording than their own.
        weights: how often attacks are drawn, by name or glob; 1 for those not named.
    """

    seconds: float = 2.0
    whole: float = 0.15
    shortest: float = 0.06
    most: int = 2
    foreign: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)


class CropDataset(Dataset[Batch]):
    """Endless training crops; the item with a given number is the same whenever it is read.

    Crops come in pairs: a fake, and the same window of its genuine twin. A fake whose twin is in
    the set is cut into it at random places (see `fakesound.data.compose`); other fakes are cropped
    as they are and paired with a genuine crop at random.

    Args:
        clips: of the training set.
        grid: frames.
        rate: samples a second.
        settings: how crops are drawn.
        augment: changes the finished crop, a fake and its partner alike.
        vary: changes what is cut in, where that is all of a clip remade.
        seed: of every draw.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        grid: FrameGrid,
        rate: int,
        settings: CropSettings,
        augment: Augment,
        vary: Vary,
        seed: int,
    ) -> None:
        self.clips = list(clips)
        self.grid, self.rate, self.settings = grid, rate, settings
        self.augment, self.vary, self.seed = augment, vary, seed
        self.frames = grid.count(settings.seconds)
        self.samples = self.frames * grid.samples(rate)
        # arrays: a draw from a list would copy all of it
        self.genuine = np.array([i for i, c in enumerate(self.clips) if not c.is_fake], dtype=int)
        groups: defaultdict[str, list[int]] = defaultdict(list)
        for index, clip in enumerate(self.clips):
            if clip.attack is not None:
                groups[clip.attack].append(index)
        self.attacks = [np.array(groups[name]) for name in sorted(groups)]
        self.families = sorted({name.partition("/")[0] for name in groups})
        weights = np.array([_weight(name, settings.weights) for name in sorted(groups)])
        self.chance = weights / weights.sum()
        by_id = {clip.clip_id: index for index, clip in enumerate(self.clips)}
        # -1 where there is none
        self.twin = np.array([by_id.get(clip.twin_id or "", -1) for clip in self.clips])
        self._last = (-1, 0, 0), np.zeros(0, np.int16)

    def __getitem__(self, number: int) -> Batch:
        """Return training crop ``number``, a batch of one without the leading axis.

        Odd numbers are the genuine partners of the fakes before them, augmented alike.
        """
        rng = np.random.default_rng([self.seed, number // 2])
        index = int(rng.choice(self.attacks[rng.choice(len(self.attacks), p=self.chance)]))
        start, length = self._window(rng, self.clips[index])
        spans = self._spans(self.clips[index], start, length)
        partner = number % 2 == 1
        cuts: Sequence[Cut] = spans
        host, host_start = int(self.twin[index]), start
        remade = [(span.start, span.stop) for span in spans] == [(0, length)]
        if host < 0:
            host = int(rng.choice(self.genuine))
            host_start, host_length = self._window(rng, self.clips[host])
            length = host_length if partner else length
        else:
            # no draw where none is wanted: it would move all others
            foreign = remade and self.settings.foreign > 0
            foreign = foreign and rng.random() < self.settings.foreign
            if foreign:
                host = int(rng.choice(self.genuine))
                host_start, host_length = self._window(rng, self.clips[host])
                length = min(length, host_length)
                spans = [Cut(0, length)]
            # what is genuine but for its edges is no fake without them
            edges = foreign or bool(self.clips[index].extra.get("edges_only"))
            cuts = self._choose(rng, spans, length, edges)
        if partner:
            pcm = self._read(host, host_start, length)
        else:
            pcm = self._read(index, start, length)
            if self.twin[index] >= 0:
                genuine = self._read(host, host_start, length)
                if remade:
                    pcm = self._varied(genuine, pcm, number)
                pcm = cut_in(genuine, pcm, cuts)
        regions = [] if partner else [Region(c.start / self.rate, c.stop / self.rate) for c in cuts]
        target = self.grid.targets(regions, self.frames)
        audio = np.zeros(self.samples, np.float32)
        audio[:length] = from_pcm(pcm)
        audio = self.augment(audio, length, self.rate, rng)
        attack = None if partner else self.clips[index].attack
        family = -1
        if attack is not None and target.any():
            family = self.families.index(attack.partition("/")[0])
        return item_of(audio, target, self.grid.count(length / self.rate), number, family)

    def _varied(self, genuine: Pcm, fake: Pcm, number: int) -> Pcm:
        """Return ``fake`` varied; draws of its own leave those of the crop alike for the twin."""
        rng = np.random.default_rng([self.seed, number // 2, 1])
        return to_pcm(self.vary(from_pcm(genuine), from_pcm(fake), self.rate, rng))

    def _spans(self, clip: Clip, start: int, length: int) -> list[Cut]:
        """Return the fake spans of a window, in samples from its start."""
        spans = []
        for region in clip.regions:
            onset = max(round(region.onset * self.rate) - start, 0)
            offset = min(round(region.offset * self.rate) - start, length)
            if onset < offset:
                spans.append(Cut(onset, offset))
        return spans

    def _choose(
        self, rng: np.random.Generator, spans: Sequence[Cut], length: int, edges_only: bool
    ) -> list[Cut]:
        """Return which parts of the available ``spans`` to use."""
        settings = self.settings
        if [(span.start, span.stop) for span in spans] == [(0, length)]:
            if rng.random() < settings.whole and not edges_only:
                return list(spans)
            longest = 0.9 * length / self.rate
            return draw_cuts(rng, length, self.rate, settings.shortest, longest, settings.most)
        # gaps are used as they were filled: their edges belong to the attack
        count = int(rng.integers(1, len(spans) + 1)) if spans else 0
        return [spans[i] for i in sorted(rng.permutation(len(spans))[:count])]

    def _window(self, rng: np.random.Generator, clip: Clip) -> tuple[int, int]:
        total = round(clip.duration * self.rate)
        length = min(total, self.samples)
        return int(rng.integers(0, total - length + 1)), length

    def _read(self, index: int, start: int, length: int) -> Pcm:
        """Return part of a clip, not to be written to: the last part read is kept.

        It is what a fake was cut into, and its partner, the crop after it, is made of the same.
        """
        where = (index, start, length)
        if self._last[0] != where:
            self._last = where, read_clip(self.clips[index], self.rate, start, length)
        return self._last[1]


def _weight(attack: str, weights: Mapping[str, float]) -> float:
    return next((w for pattern, w in weights.items() if fnmatchcase(attack, pattern)), 1.0)
