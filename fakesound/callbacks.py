"""What runs beside training: the log of its epochs and the bar on the terminal."""

import json
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fakesound.progress import console


class EpochLog(Callback):
    """Write what was logged in each epoch as a line of ``path``; a resumed run goes on there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Add the epoch; lines of a killed run from this epoch on are replaced."""
        if not trainer.is_global_zero:
            return
        rows = [row for row in read_epochs(self.path) if row["epoch"] < trainer.current_epoch]
        figures = {name: float(value) for name, value in trainer.callback_metrics.items()}
        rows.append({"epoch": trainer.current_epoch, "step": trainer.global_step} | figures)
        temporary = self.path.with_suffix(".part")
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        temporary.replace(self.path)


def read_epochs(path: Path) -> list[dict[str, Any]]:
    """Return the lines of an epoch log; none if there is no log."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class TrainingBar(Callback):
    """One bar over the whole training, with the losses and what validation found."""

    def __init__(self) -> None:
        self.bar: Progress | None = None

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Show the bar, where a resumed run stands."""
        if not trainer.is_global_zero:
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self.bar = Progress(
            *columns, TimeRemainingColumn(), TextColumn("{task.fields[figures]}"), console=console
        )
        total = int(trainer.num_training_batches) * (trainer.max_epochs or 1)
        self.task = self.bar.add_task("training", total=total, figures="")
        self.bar.start()
        self.bar.update(self.task, completed=trainer.global_step)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object
    ) -> None:
        """Move on by a step."""
        if self.bar:
            self.bar.update(self.task, completed=trainer.global_step)

    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Show the epoch's loss and the last validation."""
        if not self.bar:
            return
        shown = {
            "train/loss": "loss",
            "validation/clip/auc": "clip AUC",
            "validation/frame/auc": "frame AUC",
        }
        found = trainer.callback_metrics
        figures = [f"{name} {float(found[key]):.2f}" for key, name in shown.items() if key in found]
        self.bar.update(self.task, figures="  ".join(figures))

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Leave the bar as it is."""
        if self.bar:
            self.bar.stop()

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Leave the terminal in order."""
        if self.bar:
            self.bar.stop()
