"""What runs beside training: the log of its epochs and the bar on the terminal."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from fakesound.files import write_whole
from fakesound.progress import console

# of a checkpoint: what was logged last
FIGURES_KEY = "fakesound_figures"
# what the training bar tells
SHOWN = {
    "train/loss": "loss",
    "validation/clip/auc": "clip AUC",
    "validation/frame/auc": "frame AUC",
}


class EpochLog(Callback):
    """Write what was logged in each epoch as a line of ``path``; a resumed run goes on there."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before: dict[str, float] = {}

    def on_save_checkpoint(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Keep what was logged last: some of it, as weights of tasks, is of the epoch to come."""
        checkpoint[FIGURES_KEY] = _figures(trainer)

    def on_load_checkpoint(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Take up what was logged last."""
        self.before = checkpoint.get(FIGURES_KEY, {})

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Add the epoch; lines of a killed run from this epoch on are replaced."""
        if not trainer.is_global_zero:
            return
        rows = [row for row in read_epochs(self.path) if row["epoch"] < trainer.current_epoch]
        figures, self.before = self.before | _figures(trainer), {}
        rows.append({"epoch": trainer.current_epoch, "step": trainer.global_step} | figures)
        write_whole(self.path, "".join(json.dumps(row) + "\n" for row in rows))


def _figures(trainer: lightning.Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def read_epochs(path: Path) -> list[dict[str, Any]]:
    """Return the lines of an epoch log; none if there is no log."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Bars(Callback):
    """One bar over the whole training, with what it found so far, and one for each scoring."""

    def __init__(self) -> None:
        self.bar: Progress | None = None
        self.training = TaskID(0)
        self.scoring = TaskID(0)

    def setup(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str
    ) -> None:
        """Show the bars."""
        if not trainer.is_global_zero or self.bar:
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        found = TextColumn("{task.fields[found]}", style="dim")
        self.bar = Progress(*columns, TimeRemainingColumn(), found, console=console)
        self.training = self.bar.add_task("training", total=None, found="", visible=False)
        self.scoring = self.bar.add_task("scoring", total=None, found="", visible=False)
        self.bar.start()

    def teardown(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str
    ) -> None:
        """Leave the bars as they are."""
        self._stop()

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Leave the terminal in order."""
        self._stop()

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Begin where a resumed run stands."""
        if self.bar:
            total = int(trainer.num_training_batches) * (trainer.max_epochs or 1)
            done = trainer.global_step
            self.bar.update(self.training, total=total, completed=done, visible=True)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object
    ) -> None:
        """Move on by a step."""
        if self.bar:
            self.bar.update(self.training, completed=trainer.global_step)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Show the epoch's loss and the last validation."""
        values = trainer.callback_metrics
        found = [f"{name} {float(values[key]):.2f}" for key, name in SHOWN.items() if key in values]
        if self.bar:
            self.bar.update(self.training, found="  ".join(found))

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Move on by a batch, outside training."""
        if trainer.state.fn == "validate":
            self._score("scoring validation", batch_idx + 1, trainer.num_val_batches)

    def on_test_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Move on by a batch."""
        self._score("scoring test", batch_idx + 1, trainer.num_test_batches)

    def _score(self, title: str, done: int, batches: Sequence[int | float]) -> None:
        if self.bar:
            self.bar.update(
                self.scoring,
                description=title,
                completed=done,
                total=int(sum(batches)),
                visible=True,
            )

    def _stop(self) -> None:
        if self.bar:
            self.bar.stop()
            self.bar = None
