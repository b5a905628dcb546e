"""Batches, windows of whole clips for scoring, and the sampler and loader of training crops."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from fakesound.data.audio import read_audio, read_pcm
from fakesound.data.compose import Pcm
from fakesound.data.location import parse_location
from fakesound.data.manifest import Clip
from fakesound.data.samples import to_pcm
from fakesound.timeline import FrameGrid, window_starts

# kinds of training pairs
PART, WHOLE = 0, 1


class Batch(NamedTuple):
    """Batch of one step of training or scoring.

    Attributes:
        waveform: samples in [-1, 1), zero after the end of a clip.
        clip_target: 1 if the crop holds a fake region.
        frame_target: 1 for fake frames.
        frame_mask: False for frames after the end of a clip.
        number: number of the crop or window.
        family: index of the attack's family among those of the training set; -1 for crops without
            a fake region and for windows.
        kind: kind of a training pair: `PART` if its fake holds genuine frames, `WHOLE` if it is
            fake throughout; -1 for windows. Both crops of a pair have the same kind, so that the
            loss of a kind sees as many genuine crops as fakes.
    """

    waveform: Float[Tensor, "batch sample"]
    clip_target: Float[Tensor, " batch"]
    frame_target: Float[Tensor, "batch frame"]
    frame_mask: Bool[Tensor, "batch frame"]
    number: Int[Tensor, " batch"]
    family: Int[Tensor, " batch"] = torch.tensor(-1)
    kind: Int[Tensor, " batch"] = torch.tensor(-1)


class WindowDataset(Dataset[Batch]):
    """Whole clips as windows of one length that overlap by half; the last one is zero-padded."""

    def __init__(self, clips: Sequence[Clip], grid: FrameGrid, rate: int, seconds: float) -> None:
        self.clips = list(clips)
        self.grid, self.rate = grid, rate
        self.frames = grid.count(seconds)
        # clip and first frame of each window; an array, since there may be millions
        self.windows = window_starts([grid.count(c.duration) for c in clips], self.frames)

    def __len__(self) -> int:
        return len(self.windows)

    def __getitem__(self, number: int) -> Batch:
        """Return window ``number``, a batch of one without the leading axis."""
        index, first = map(int, self.windows[number])
        clip, size = self.clips[index], self.grid.samples(self.rate)
        start = first * size
        length = min(self.frames * size, round(clip.duration * self.rate) - start)
        audio = read_audio(clip.location, self.rate, start, length)
        total = self.grid.count(clip.duration)
        target = self.grid.targets(clip.regions, total)[first : first + self.frames]
        padded = np.zeros(self.frames, dtype=bool)
        padded[: len(target)] = target
        audio = np.pad(audio, (0, self.frames * size - len(audio)))
        return make_item(audio, padded, len(target), number)


class EpochSampler(Sampler[list[int]]):
    """Numbers of the training crops of each step, new in every epoch, divided among processes.

    Numbers depend only on the epoch and step. So the crops of an epoch do not depend on the number
    of workers, and an epoch can be resumed in its middle. Lightning calls ``set_epoch``.

    Args:
        steps: number of steps in an epoch.
        crops: number of crops in a step, over all processes; even, since a fake and its partner
            stay together.
        rank: number of this process.
        world_size: number of processes.
        later: an epoch, and the number of crops in a step from that epoch on.
    """

    def __init__(
        self,
        steps: int,
        crops: int,
        rank: int = 0,
        world_size: int = 1,
        later: tuple[int, int] | None = None,
    ) -> None:
        self.steps, self.crops, self.rank, self.world_size = steps, crops, rank, world_size
        self.later = later
        self.epoch = 0
        self.done = (0, 0)

    @property
    def sampler(self) -> "EpochSampler":
        """This sampler; Lightning looks here for an object with ``set_epoch``."""
        return self

    def start_at(self, epoch: int, steps: int) -> None:
        """Skip the first ``steps`` of ``epoch``, which were done before the run stopped."""
        self.done = (epoch, steps if steps < self.steps else 0)

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose crops are sampled."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        crops = self.crops
        if self.later is not None and self.epoch >= self.later[0]:
            crops = self.later[1]
        first = self.done[1] if self.done[0] == self.epoch else 0
        own = crops // 2 // self.world_size
        for step in range(first, self.steps):
            start = (self.epoch * self.steps * self.crops + step * crops) // 2
            pairs = [start + position * self.world_size + self.rank for position in range(own)]
            yield [2 * pair + position for pair in pairs for position in (0, 1)]


class CropLoader(DataLoader[Batch]):
    """Loader of training crops that can resume in the middle of an epoch.

    Lightning saves its state in checkpoints and restores it before the first batch of a resumed
    run. The state counts the steps that the trainer has done, not the batches that workers fetched.

    Args:
        crops: crops to load.
        sampler: sampler of their numbers.
        progress: function that returns the epoch and the number of its steps that are done.
        options: options of the `DataLoader`.
    """

    def __init__(
        self,
        crops: Dataset[Batch],
        sampler: EpochSampler,
        progress: Callable[[], tuple[int, int]] = lambda: (0, 0),
        **options: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(crops, batch_sampler=sampler, **options)
        self.progress = progress

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        # a generator, since Lightning creates the iterator of a resumed run before it sets the
        # epoch, and workers must not fetch before
        yield from super().__iter__()

    def state_dict(self) -> dict[str, int]:
        """Return the ``epoch`` and the ``steps`` done in it."""
        epoch, steps = self.progress()
        return {"epoch": epoch, "steps": steps}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Continue after the steps of ``state``."""
        assert isinstance(self.batch_sampler, EpochSampler)
        self.batch_sampler.start_at(state["epoch"], state["steps"])


def collate(items: Sequence[Batch]) -> Batch:
    """Return ``items`` stacked into one batch."""
    return Batch(*(torch.stack(parts) for parts in zip(*items, strict=True)))


def make_item(
    audio: Float[np.ndarray, " sample"],
    target: Bool[np.ndarray, " frame"],
    valid: int,
    number: int,
    family: int = -1,
    kind: int = -1,
) -> Batch:
    """Return a batch of one without the leading axis; frames from ``valid`` on are padding."""
    return Batch(
        torch.from_numpy(audio),
        torch.tensor(float(target.any())),
        torch.from_numpy(target.astype(np.float32)),
        torch.arange(len(target)) < valid,
        torch.tensor(number),
        torch.tensor(family),
        torch.tensor(kind),
    )


def read_clip(clip: Clip, rate: int, start: int, length: int) -> Pcm:
    """Return ``length`` samples of a clip from ``start`` on, at ``rate``, zero after its end."""
    if clip.sample_rate == rate and parse_location(clip.location).suffix == ".wav":
        return read_pcm(clip.location, start, length)
    audio = read_audio(clip.location, rate, start, length)
    audio = np.pad(audio, (0, length - len(audio)))
    return to_pcm(audio)
