"""Lightning callbacks that log epochs and steps, and show progress bars."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from torch import Tensor
from torch.optim import Optimizer

from fakesound.files import write_whole
from fakesound.progress import console, log, print_line, progress_lines

# key of a checkpoint for the last logged figures
FIGURES_KEY = "fakesound_figures"
# figures shown next to the training bar
SHOWN = {
    "train/loss": "loss",
    "validation/clip/auc": "clip AUC",
    "validation/frame/auc": "frame AUC",
}


class EpochLog(Callback):
    """Write the figures of each epoch as a line of ``path``; a resumed run continues the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before: dict[str, float] = {}

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save the last figures, some of which belong to the next epoch, such as task weights."""
        checkpoint[FIGURES_KEY] = _figures(trainer)

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Restore the last figures."""
        self.before = checkpoint.get(FIGURES_KEY, {})

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch; later lines of a killed run are removed."""
        if not trainer.is_global_zero:
            return
        rows = [row for row in read_epochs(self.path) if row["epoch"] < trainer.current_epoch]
        figures, self.before = self.before | _figures(trainer), {}
        rows.append({"epoch": trainer.current_epoch, "step": trainer.global_step} | figures)
        write_whole(self.path, "".join(json.dumps(row) + "\n" for row in rows))


def _figures(trainer: Trainer) -> dict[str, float]:
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def read_epochs(path: Path) -> list[dict[str, Any]]:
    """Return the rows of an epoch log; an empty list if it does not exist."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class StepLog(Callback):
    """Log every few steps to the logger of the trainer, under ``step/``.

    Losses and speed are means over the steps since the last entry, so that the device is
    synchronised only once per entry. Time between epochs is not counted.

    Args:
        every: number of steps between two entries.
    """

    def __init__(self, every: int) -> None:
        self.every, self.logged = every, 0
        self._reset()

    def _reset(self) -> None:
        self.losses: dict[str, Tensor] = {}
        self.steps = self.clips = 0
        self.start = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Reset the means after a validation."""
        self._reset()

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Measure the norm of all gradients before clipping, if this step is logged."""
        if (trainer.global_step + 1) % self.every == 0:
            gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
            self.norm = torch.nn.utils.get_total_norm(gradients)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: Any,  # noqa: ANN401
        batch_idx: int,
    ) -> None:
        """Add a step, and log after ``every`` steps."""
        losses: dict[str, Tensor] = pl_module.step_losses  # type: ignore[assignment]
        for name, loss in losses.items():
            self.losses[name] = self.losses.get(name, 0) + loss
        self.steps += 1
        self.clips += len(batch.waveform) * trainer.world_size
        # with accumulated gradients, a step has several batches
        if trainer.global_step % self.every or trainer.global_step == self.logged:
            return
        self.logged = trainer.global_step
        figures = {f"step/{name}": float(total) / self.steps for name, total in self.losses.items()}
        figures["step/lr"] = trainer.optimizers[0].param_groups[0]["lr"]
        figures["step/gradient_norm"] = float(self.norm)
        figures["step/clips_per_second"] = self.clips / (time.perf_counter() - self.start)
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)
        self._reset()


class ProgressBars(Callback):
    """Show one bar for the whole training, with the last figures, and one for each scoring.

    If stderr is not a terminal, print occasional lines of the training instead.
    """

    def __init__(self) -> None:
        self.lines = progress_lines("training")
        self.bar: Progress | None = None
        self.training = self.scoring = TaskID(0)

    def setup(self, trainer: Trainer, *_: object, **__: object) -> None:
        """Show the bars."""
        if not trainer.is_global_zero or self.bar or not console.is_terminal:
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        figures = TextColumn("{task.fields[figures]}", style="dim")
        self.bar = Progress(*columns, TimeRemainingColumn(), figures, console=console)
        self.training, self.scoring = (
            self.bar.add_task(title, total=None, figures="", visible=False)
            for title in ("training", "scoring")
        )
        self.bar.start()

    def teardown(self, *_: object, **__: object) -> None:
        """Stop the bars, which restores the terminal."""
        if self.bar:
            self.bar.stop()
            self.bar = None

    def on_exception(self, *_: object) -> None:
        """Stop the bars."""
        self.teardown()

    def on_train_start(self, trainer: Trainer, *_: object) -> None:
        """Start at the step of a resumed run."""
        if self.bar:
            done = trainer.global_step
            self.bar.update(self.training, total=_steps(trainer), completed=done, visible=True)

    def on_train_batch_end(self, trainer: Trainer, *_: object) -> None:
        """Advance by a step."""
        if self.bar:
            self.bar.update(self.training, completed=trainer.global_step)
        elif trainer.is_global_zero:
            self.lines(trainer.global_step, _steps(trainer))

    def on_train_epoch_end(self, trainer: Trainer, *_: object) -> None:
        """Show the loss of the epoch and the last validation."""
        values = trainer.callback_metrics
        shown = [f"{name} {float(values[key]):.2f}" for key, name in SHOWN.items() if key in values]
        line = "  ".join([f"training: {trainer.global_step} of {_steps(trainer)}", *shown])
        if self.bar:
            self.bar.update(self.training, figures="  ".join(shown))
            log.info("%s", line)
        elif trainer.is_global_zero:
            print_line(line)

    def on_validation_batch_end(self, trainer: Trainer, *arguments: Any) -> None:  # noqa: ANN401
        """Advance by a batch, outside training."""
        if trainer.state.fn == "validate":
            self._score("scoring validation", arguments[3], trainer.num_val_batches)

    def on_test_batch_end(self, trainer: Trainer, *arguments: Any) -> None:  # noqa: ANN401
        """Advance by a batch."""
        self._score("scoring test", arguments[3], trainer.num_test_batches)

    def _score(self, title: str, batch: int, batches: Sequence[int | float]) -> None:
        if self.bar:
            self.bar.update(
                self.scoring,
                description=title,
                completed=batch + 1,
                total=int(sum(batches)),
                visible=True,
            )


def _steps(trainer: Trainer) -> int:
    return int(trainer.num_training_batches) * (trainer.max_epochs or 1)
