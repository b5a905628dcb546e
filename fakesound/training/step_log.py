"""Log losses, learning rate, gradient norm and speed by step."""

import time
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.optim import Optimizer


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

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Reset the means after a validation."""
        self._reset()

    def on_before_optimizer_step(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        optimizer: Optimizer,
    ) -> None:
        """Measure the norm of all gradients before clipping, if this step is logged."""
        if (trainer.global_step + 1) % self.every == 0:
            gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
            self.norm = torch.nn.utils.get_total_norm(gradients)

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
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
