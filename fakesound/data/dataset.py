"""Datasets: crops with regions cut in on the fly for training, windows of whole clips to score."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from fakesound.data.audio import from_pcm, read_audio, read_pcm
from fakesound.data.compose import Cut, Pcm, cut_in, draw_cuts
from fakesound.data.manifest import Clip
from fakesound.timeline import FrameGrid, Region


class Batch(NamedTuple):
    """What one step of training or scoring gets.

    Attributes:
        waveform: in [-1, 1), zero after the end of a clip.
        clip_target: 1 where the crop holds a fake region.
        frame_target: 1 for fake frames.
        frame_mask: False for frames after the end of a clip.
        number: of the crop or window.
        family: number of the attack's family among `CropDataset.families`, for a crop that holds a
            fake region; -1 for others, and for windows.
    """

    waveform: Float[Tensor, "batch sample"]
    clip_target: Float[Tensor, " batch"]
    frame_target: Float[Tensor, "batch frame"]
    frame_mask: Bool[Tensor, "batch frame"]
    number: Int[Tensor, " batch"]
    family: Int[Tensor, " batch"] = torch.tensor(-1)


# takes a crop, how many samples of it are not padding, their rate, and what to draw from
Augment = Callable[
    [Float[np.ndarray, " sample"], int, int, np.random.Generator], Float[np.ndarray, " sample"]
]


@dataclass(frozen=True)
class CropSettings:
    """How training crops are drawn.

    Attributes:
        seconds: length of a crop.
        whole: share of fake crops that are fake throughout.
        shortest: seconds of the shortest region; up to 90 % of the crop, log-uniform.
        most: regions in a crop at most.
        weights: how often attacks are drawn, by name or glob; 1 for those not named.
    """

    seconds: float = 2.0
    whole: float = 0.15
    shortest: float = 0.06
    most: int = 2
    weights: Mapping[str, float] = field(default_factory=dict)


class CropDataset(Dataset[Batch]):
    """Endless training crops; the item with a given number is the same whenever it is read.

    Crops come in pairs: a fake, and the same window of its genuine twin. A fake whose twin is in
    the set is cut into it at random places (see `fakesound.data.compose`); other fakes are cropped
    as they are and paired with a genuine crop at random.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        grid: FrameGrid,
        rate: int,
        settings: CropSettings,
        augment: Augment,
        seed: int,
    ) -> None:
        self.clips = list(clips)
        self.grid, self.rate, self.settings = grid, rate, settings
        self.augment, self.seed = augment, seed
        self.frames = grid.count(settings.seconds)
        self.samples = self.frames * grid.samples(rate)
        self.genuine = [i for i, clip in enumerate(self.clips) if not clip.is_fake]
        groups: defaultdict[str, list[int]] = defaultdict(list)
        for index, clip in enumerate(self.clips):
            if clip.attack is not None:
                groups[clip.attack].append(index)
        self.attacks = [groups[name] for name in sorted(groups)]
        self.families = sorted({name.partition("/")[0] for name in groups})
        weights = np.array([_weight(name, settings.weights) for name in sorted(groups)])
        self.chance = weights / weights.sum()
        by_id = {clip.clip_id: index for index, clip in enumerate(self.clips)}
        self.twin = [by_id.get(clip.twin_id or "") for clip in self.clips]
        self._last = (-1, 0, 0), np.zeros(0, np.int16)

    def __getitem__(self, number: int) -> Batch:
        """Return training crop ``number``, a batch of one without the leading axis.

        Odd numbers are the genuine partners of the fakes before them, augmented alike.
        """
        rng = np.random.default_rng([self.seed, number // 2])
        index = int(rng.choice(self.attacks[rng.choice(len(self.attacks), p=self.chance)]))
        start, length = self._window(rng, self.clips[index])
        spans = self._spans(self.clips[index], start, length)
        twin, partner = self.twin[index], number % 2 == 1
        cuts: Sequence[Cut] = spans
        if twin is not None:
            # what is genuine but for its edges is no fake without them
            edges_only = bool(self.clips[index].extra.get("edges_only"))
            cuts = self._choose(rng, spans, length, edges_only)
        if partner and twin is None:
            index = int(rng.choice(self.genuine))
            start, length = self._window(rng, self.clips[index])
            pcm = self._read(index, start, length)
        elif partner and twin is not None:
            pcm = self._read(twin, start, length)
        else:
            pcm = self._read(index, start, length)
            if twin is not None:
                pcm = cut_in(self._read(twin, start, length), pcm, cuts)
        regions = [] if partner else [Region(c.start / self.rate, c.stop / self.rate) for c in cuts]
        target = self.grid.targets(regions, self.frames)
        audio = np.zeros(self.samples, np.float32)
        audio[:length] = from_pcm(pcm)
        audio = self.augment(audio, length, self.rate, rng)
        attack = None if partner else self.clips[index].attack
        family = -1
        if attack is not None and target.any():
            family = self.families.index(attack.partition("/")[0])
        return _item(audio, target, self.grid.count(length / self.rate), number, family)

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
            self._last = where, _read_clip(self.clips[index], self.rate, start, length)
        return self._last[1]


class WindowDataset(Dataset[Batch]):
    """Whole clips as windows of one length that overlap by half; the last one is zero-padded."""

    def __init__(self, clips: Sequence[Clip], grid: FrameGrid, rate: int, seconds: float) -> None:
        self.clips = list(clips)
        self.grid, self.rate = grid, rate
        self.frames = grid.count(seconds)
        self.step = max(1, self.frames // 2)
        self.windows = [
            (index, first)
            for index, clip in enumerate(self.clips)
            for first in window_starts(grid.count(clip.duration), self.frames, self.step)
        ]

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, number: int) -> Batch:
        """Return window ``number``, a batch of one without the leading axis."""
        index, first = self.windows[number]
        clip, size = self.clips[index], self.grid.samples(self.rate)
        start = first * size
        length = min(self.frames * size, round(clip.duration * self.rate) - start)
        audio = from_pcm(_read_clip(clip, self.rate, start, length))
        total = self.grid.count(clip.duration)
        target = self.grid.targets(clip.regions, total)[first : first + self.frames]
        padded = np.zeros(self.frames, dtype=bool)
        padded[: len(target)] = target
        audio = np.pad(audio, (0, self.frames * size - len(audio)))
        return _item(audio, padded, len(target), number)


def window_starts(frames: int, window: int, step: int) -> list[int]:
    """Return the first frames of windows that cover ``frames``; the last one ends with the clip."""
    if frames <= window:
        return [0]
    starts = list(range(0, frames - window, step))
    return [*starts, frames - window]


class EpochSampler(Sampler[int]):
    """Numbers of training crops, new in every epoch, divided among processes.

    The number holds the epoch, so the crops of an epoch are the same after a resume and whatever
    the number of workers. Lightning calls ``set_epoch``.
    """

    def __init__(self, crops: int, rank: int = 0, world_size: int = 1) -> None:
        self.pairs, self.rank, self.world_size = crops // 2, rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw the crops of ``epoch`` from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        # as many for each process: they take steps together
        return 2 * (self.pairs // self.world_size)

    def __iter__(self) -> Iterator[int]:
        for place in range(self.pairs // self.world_size):
            pair = self.epoch * self.pairs + place * self.world_size + self.rank
            # a fake and its twin stay together
            yield from (2 * pair, 2 * pair + 1)


def collate(items: Sequence[Batch]) -> Batch:
    """Return ``items`` stacked into one batch."""
    return Batch(*(torch.stack(parts) for parts in zip(*items, strict=True)))


def _item(
    audio: Float[np.ndarray, " sample"],
    target: Bool[np.ndarray, " frame"],
    held: int,
    number: int,
    family: int = -1,
) -> Batch:
    return Batch(
        torch.from_numpy(audio),
        torch.tensor(float(target.any())),
        torch.from_numpy(target.astype(np.float32)),
        torch.arange(len(target)) < held,
        torch.tensor(number),
        torch.tensor(family),
    )


def _read_clip(clip: Clip, rate: int, start: int, length: int) -> Pcm:
    if clip.sample_rate == rate and clip.path.suffix == ".wav":
        return read_pcm(clip.path, start, length)
    audio = read_audio(clip.path, rate, start, length)
    audio = np.pad(audio, (0, length - len(audio)))
    return np.clip(np.round(audio * 32_768), -32_768, 32_767).astype(np.int16)


def _weight(attack: str, weights: Mapping[str, float]) -> float:
    return next((w for pattern, w in weights.items() if fnmatchcase(attack, pattern)), 1.0)
