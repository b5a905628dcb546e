"""The Lightning data module, which forges or reads clips, splits them and loads batches."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import lightning
import torch
from torch.utils.data import DataLoader

from fakesound.augmentation import augment, launder, recoloured, vary
from fakesound.config import DataConfig, SplitConfig
from fakesound.data.crops import Changes, CropDataset
from fakesound.data.dataset import Batch, CropLoader, EpochSampler, WindowDataset, collate
from fakesound.data.manifest import Clip
from fakesound.data.splits import Split, split_clips
from fakesound.forging import Corpus, forge
from fakesound.progress import progress_bar
from fakesound.timeline import GRID

SCORING_BATCH = 64
# more epochs than any training has
EPOCHS = 10_000


class ClipDataModule(lightning.LightningDataModule):
    """Batches of training crops, and of the windows of validation and test clips.

    Args:
        corpus: clips, or jobs of the forge.
        data: configuration of clips and crops.
        split: configuration of the split.
        steps: number of steps in an epoch.
        seed: seed of the crops.
        later: first epoch with longer crops; None for no such epoch.

    Attributes:
        split: clips of each split, after `setup`.
        left_out: errors of unused audio, after `setup`.
    """

    split: Split

    def __init__(
        self,
        corpus: Corpus,
        data: DataConfig,
        split: SplitConfig,
        steps: int,
        seed: int,
        later: int | None = None,
    ) -> None:
        super().__init__()
        self.corpus, self.data, self.split_config = corpus, data, split
        self.steps, self.seed, self.later = steps, seed, later
        self.left_out: list[str] = list(corpus.left_out)

    def prepare_data(self) -> None:
        """Forge missing clips, on one process of each machine."""
        self._forge()

    def setup(self, stage: str | None = None) -> None:
        """Split the clips and make the datasets.

        Raises:
            InputError: if the split is incomplete or leaks.
        """
        if hasattr(self, "split"):
            return
        clips = self.corpus.clips or self._forge()
        self.split = split_clips(
            clips,
            self.corpus.held_out,
            self.corpus.inner_held_out,
            self.split_config.seen_per_genuine,
            self.split_config.control,
        )
        published = self.data.published
        per_epoch = self.steps * self.data.batch_size
        later = range(0)
        if self.later is not None:
            # crops for statistics have far larger numbers, and keep the first length
            later = range(self.later * per_epoch, EPOCHS * per_epoch)
        self.train_crops = CropDataset(
            self.split.train,
            GRID,
            self.data.sample_rate,
            self.data.crop,
            published,
            Changes(
                partial(augment, shares=self.data.augment.shares()),
                partial(vary, shares=dict(vars(self.data.fake_augmentation))),
                partial(launder, shares={"align": published.align, "band": published.band}),
                recoloured,
            ),
            self.seed,
            later,
        )
        self.validation_windows = self._windows(self.split.validation)
        self.test_windows = self._windows(self.split.test)

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the loader of an epoch's crops; their numbers continue from epoch to epoch.

        Processes share the batch of each step, so that the number of processes does not change the
        training data. A resumed run continues after the last step.
        """
        trainer = self.trainer
        rank, world = self._rank()
        return CropLoader(
            self.train_crops,
            EpochSampler(self.steps, self.data.batch_size, rank, world, self._later(world)),
            self._progress,
            # a separate generator, since the loader would draw from that of the model
            generator=torch.Generator(),
            collate_fn=collate,
            num_workers=self.data.workers,
            persistent_workers=self.data.workers > 0,
            pin_memory=trainer is not None
            and trainer.accelerator.__class__.__name__ == "CUDAAccelerator",
        )

    def _later(self, world: int) -> tuple[int, int] | None:
        """Return the first epoch with longer crops and their number in a step."""
        if self.later is None:
            return None
        crop = self.data.crop
        fewer = round(self.data.batch_size * crop.seconds / (crop.later_seconds or crop.seconds))
        # whole pairs for each process
        return self.later, max(fewer // (2 * world), 1) * 2 * world

    def _progress(self) -> tuple[int, int]:
        """Return the epoch and the number of its steps that are done."""
        if self.trainer is None:
            return 0, 0
        steps: Any = self.trainer.fit_loop.epoch_loop.batch_progress.current
        return self.trainer.current_epoch, steps.processed

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the loader of validation windows."""
        return self._loader(self.validation_windows)

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return the loader of test windows."""
        return self._loader(self.test_windows)

    def _windows(self, clips: Sequence[Clip]) -> WindowDataset:
        return WindowDataset(clips, GRID, self.data.sample_rate, self.data.window_seconds)

    def _rank(self) -> tuple[int, int]:
        """Return the number of this process and the number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(self, windows: WindowDataset) -> DataLoader[Batch]:
        rank, world = self._rank()
        # whole batches are divided among processes, since the exact scores of a window depend on
        # its batch. A process without a batch scores the first one again, which counts once:
        # Lightning would wait forever for a process without batches
        starts = range(rank * SCORING_BATCH, len(windows), world * SCORING_BATCH) or [0]
        return DataLoader(
            windows,
            batch_sampler=[
                list(range(first, min(first + SCORING_BATCH, len(windows)))) for first in starts
            ],
            collate_fn=collate,
            num_workers=self.data.workers,
        )

    def _forge(self) -> list[Clip]:
        if not self.corpus.jobs:
            return []
        with progress_bar("forging") as progress:
            forged = forge(
                self.corpus.jobs,
                self.corpus.folder,
                self.data.sample_rate,
                self.data.forge_workers,
                self.data.on_bad_audio,
                progress,
            )
        self.left_out = [*self.corpus.left_out, *forged.left_out.values()]
        return forged.clips
