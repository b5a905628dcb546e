"""Datasets: crops with regions cut in on the fly for training, windows of whole clips to score."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from fakesound.data.audio import from_pcm, read_audio, read_pcm
from fakesound.data.augment import Augmentation, augment
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
        index: of the clip in its dataset.
        first_frame: where in the clip the window starts.
    """

    waveform: Float[Tensor, "batch sample"]
    clip_target: Float[Tensor, " batch"]
    frame_target: Float[Tensor, "batch frame"]
    frame_mask: Bool[Tensor, "batch frame"]
    index: Int[Tensor, " batch"]
    first_frame: Int[Tensor, " batch"]


@dataclass(frozen=True)
class CropSettings:
    """How training crops are drawn.

    Attributes:
        seconds: length of a crop.
        fake: share of crops with a fake region.
        whole: share of fake crops that are fake throughout.
        shortest: seconds of the shortest region; up to 90 % of the crop, log-uniform.
        most: regions in a crop at most.
    """

    seconds: float = 2.0
    fake: float = 0.5
    whole: float = 0.15
    shortest: float = 0.06
    most: int = 2


class CropDataset(Dataset[Batch]):
    """Endless training crops; the item with a given number is the same whenever it is read.

    A fake whose genuine twin is in the set is cut into it at random places (see
    `fakesound.data.compose`); other fakes are cropped as they are. Attacks are equally likely,
    whatever the number of their clips.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        grid: FrameGrid,
        rate: int,
        settings: CropSettings,
        augmentation: Augmentation,
        seed: int,
    ) -> None:
        self.clips = list(clips)
        self.grid, self.rate, self.settings = grid, rate, settings
        self.augmentation, self.seed = augmentation, seed
        self.frames = grid.count(settings.seconds)
        self.samples = self.frames * grid.samples(rate)
        self.genuine = [i for i, clip in enumerate(self.clips) if not clip.is_fake]
        groups: defaultdict[str, list[int]] = defaultdict(list)
        for index, clip in enumerate(self.clips):
            if clip.attack is not None:
                groups[clip.attack].append(index)
        self.attacks = [groups[name] for name in sorted(groups)]
        by_id = {clip.clip_id: index for index, clip in enumerate(self.clips)}
        self.twin = [by_id.get(clip.twin_id or "") for clip in self.clips]

    def __getitem__(self, number: int) -> Batch:
        """Return training crop ``number``, a batch of one without the leading axis."""
        rng = np.random.default_rng([self.seed, number])
        pcm, cuts, index = self._fake(rng) if rng.random() < self.settings.fake else self._real(rng)
        held = len(pcm)
        audio = np.pad(from_pcm(pcm), (0, self.samples - held))
        regions = [Region(c.start / self.rate, c.stop / self.rate) for c in cuts]
        target = self.grid.targets(regions, self.frames)
        audio = augment(audio, held, self.rate, self.augmentation, rng)
        return _item(audio, target, self.grid.count(held / self.rate), index, 0)

    def _real(self, rng: np.random.Generator) -> tuple[Pcm, list[Cut], int]:
        index = int(rng.choice(self.genuine))
        start, length = self._window(rng, self.clips[index])
        return self._read(index, start, length), [], index

    def _fake(self, rng: np.random.Generator) -> tuple[Pcm, list[Cut], int]:
        group = self.attacks[int(rng.integers(len(self.attacks)))]
        index = int(rng.choice(group))
        clip, twin = self.clips[index], self.twin[index]
        start, length = self._window(rng, clip)
        end = start + length
        spans = [
            Cut(max(round(r.onset * self.rate), start) - start, min(round(r.offset * self.rate), end) - start)
            for r in clip.regions
            if r.onset * self.rate < end and r.offset * self.rate > start
        ]
        fake = self._read(index, start, length)
        if twin is None or not spans:
            return fake, spans, index
        cuts = self._choose(rng, spans, length)
        return cut_in(self._read(twin, start, length), fake, cuts), cuts, index

    def _choose(self, rng: np.random.Generator, spans: list[Cut], length: int) -> list[Cut]:
        """Return which parts of the available ``spans`` to use."""
        settings = self.settings
        if len(spans) == 1 and spans[0].stop - spans[0].start == length:
            if rng.random() < settings.whole:
                return spans
            return draw_cuts(rng, length, self.rate, settings.shortest, most=settings.most)
        # gaps are used as they were filled: their edges belong to the attack
        count = int(rng.integers(1, len(spans) + 1))
        return [spans[i] for i in sorted(rng.permutation(len(spans))[:count])]

    def _window(self, rng: np.random.Generator, clip: Clip) -> tuple[int, int]:
        total = round(clip.duration * self.rate)
        length = min(total, self.samples)
        return int(rng.integers(0, total - length + 1)), length

    def _read(self, index: int, start: int, length: int) -> Pcm:
        return _read_clip(self.clips[index], self.rate, start, length)


class WindowDataset(Dataset[Batch]):
    """Whole clips as windows of one length that overlap by half; the last one is zero-padded."""

    def __init__(
        self, clips: Sequence[Clip], grid: FrameGrid, rate: int, seconds: float
    ) -> None:
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
        return _item(audio, padded, len(target), index, first)


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
        self.crops, self.rank, self.world_size = crops, rank, world_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Draw the crops of ``epoch`` from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.crops // self.world_size

    def __iter__(self) -> Iterator[int]:
        first = self.epoch * self.crops + self.rank
        return iter(range(first, first + len(self) * self.world_size, self.world_size))


def collate(items: Sequence[Batch]) -> Batch:
    """Return ``items`` stacked into one batch."""
    return Batch(*(torch.stack(parts) for parts in zip(*items, strict=True)))


def _item(
    audio: Float[np.ndarray, " sample"],
    target: Bool[np.ndarray, " frame"],
    held: int,
    index: int,
    first_frame: int,
) -> Batch:
    return Batch(
        torch.from_numpy(audio),
        torch.tensor(float(target.any())),
        torch.from_numpy(target.astype(np.float32)),
        torch.arange(len(target)) < held,
        torch.tensor(index),
        torch.tensor(first_frame),
    )


def _read_clip(clip: Clip, rate: int, start: int, length: int) -> Pcm:
    if clip.sample_rate == rate and clip.path.suffix == ".wav":
        return read_pcm(clip.path, start, length)
    audio = read_audio(clip.path, rate, start, length)
    audio = np.pad(audio, (0, length - len(audio)))
    return np.clip(np.round(audio * 32_768), -32_768, 32_767).astype(np.int16)
