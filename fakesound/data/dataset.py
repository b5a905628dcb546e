"""What a model is given at a time, and the windows in which whole clips are scored."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from fakesound.data.audio import from_pcm, read_audio, read_pcm, to_pcm
from fakesound.data.compose import Pcm
from fakesound.data.manifest import Clip
from fakesound.timeline import FrameGrid


class Batch(NamedTuple):
    """What one step of training or scoring gets.

    Attributes:
        waveform: in [-1, 1), zero after the end of a clip.
        clip_target: 1 where the crop holds a fake region.
        frame_target: 1 for fake frames.
        frame_mask: False for frames after the end of a clip.
        number: of the crop or window.
        family: number of the attack's family among those of the training set, for a crop that
            holds a fake region; -1 for others, and for windows.
    """

    waveform: Float[Tensor, "batch sample"]
    clip_target: Float[Tensor, " batch"]
    frame_target: Float[Tensor, "batch frame"]
    frame_mask: Bool[Tensor, "batch frame"]
    number: Int[Tensor, " batch"]
    family: Int[Tensor, " batch"] = torch.tensor(-1)


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
        audio = from_pcm(read_clip(clip, self.rate, start, length))
        total = self.grid.count(clip.duration)
        target = self.grid.targets(clip.regions, total)[first : first + self.frames]
        padded = np.zeros(self.frames, dtype=bool)
        padded[: len(target)] = target
        audio = np.pad(audio, (0, self.frames * size - len(audio)))
        return item_of(audio, padded, len(target), number)


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

    Args:
        crops: of an epoch, of all processes together.
        rank: of this process.
        world_size: number of processes.
        epoch: to begin with.
        done: crops of that epoch that this process has had already.
    """

    def __init__(
        self, crops: int, rank: int = 0, world_size: int = 1, epoch: int = 0, done: int = 0
    ) -> None:
        self.pairs, self.rank, self.world_size = crops // 2, rank, world_size
        self.epoch = self.first_epoch = epoch
        self.done = done

    def set_epoch(self, epoch: int) -> None:
        """Draw the crops of ``epoch`` from now on."""
        self.epoch = epoch

    def __len__(self) -> int:
        # as many for each process: they take steps together
        return 2 * (self.pairs // self.world_size)

    def __iter__(self) -> Iterator[int]:
        done = self.done if self.epoch == self.first_epoch else 0
        for number in range(done, len(self)):
            # a fake and its twin stay together
            place, twin = divmod(number, 2)
            pair = self.epoch * self.pairs + place * self.world_size + self.rank
            yield 2 * pair + twin


def collate(items: Sequence[Batch]) -> Batch:
    """Return ``items`` stacked into one batch."""
    return Batch(*(torch.stack(parts) for parts in zip(*items, strict=True)))


def item_of(
    audio: Float[np.ndarray, " sample"],
    target: Bool[np.ndarray, " frame"],
    held: int,
    number: int,
    family: int = -1,
) -> Batch:
    """Return a batch of one without the leading axis; ``held`` of its frames are no padding."""
    return Batch(
        torch.from_numpy(audio),
        torch.tensor(float(target.any())),
        torch.from_numpy(target.astype(np.float32)),
        torch.arange(len(target)) < held,
        torch.tensor(number),
        torch.tensor(family),
    )


def read_clip(clip: Clip, rate: int, start: int, length: int) -> Pcm:
    """Return ``length`` samples of a clip from ``start`` on, at ``rate``, zero after its end."""
    if clip.sample_rate == rate and clip.path.suffix == ".wav":
        return read_pcm(clip.path, start, length)
    audio = read_audio(clip.path, rate, start, length)
    audio = np.pad(audio, (0, length - len(audio)))
    return to_pcm(audio)
