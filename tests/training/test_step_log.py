"""The log of steps, in a training of a small module."""

import math
from types import SimpleNamespace

import lightning
import pytest
import torch
from lightning.pytorch.loggers import Logger

from fakesound.training.step_log import StepLog


class Kept(Logger):
    """Keep what is logged."""

    name = version = "kept"

    def __init__(self):
        super().__init__()
        self.rows = []

    def log_metrics(self, metrics, step=None):
        self.rows.append((step, metrics))

    def log_hyperparams(self, *_, **__):
        pass


class Line(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(3.0))
        self.step_losses = {}
        self.gradients = []

    def training_step(self, batch, number):
        loss = self.weight * (number + 1)
        self.step_losses = {"loss": loss.detach(), "clip_loss": 2 * loss.detach()}
        return loss

    def on_before_optimizer_step(self, optimizer):
        self.gradients.append(float(self.weight.grad))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def train_dataloader(self):
        # batches are objects with waveforms, as in training
        crops = [torch.zeros(1)] * 48
        return torch.utils.data.DataLoader(
            crops, batch_size=4, collate_fn=lambda some: Batch(torch.stack(some))
        )


class Batch(SimpleNamespace):
    def __init__(self, waveform):
        super().__init__(waveform=waveform)

    def to(self, *_, **__):
        return self


def train(every, **options):
    logger, module = Kept(), Line()
    lightning.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=logger,
        callbacks=[StepLog(every)],
        enable_progress_bar=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        **options,
    ).fit(module)
    return module, [(step, row) for step, row in logger.rows if "step/loss" in row]


@pytest.mark.filterwarnings("ignore")
def test_every_few_steps_are_averaged():
    module, rows = train(every=5)
    # 12 steps an epoch: the last two of the first one, and the first three of the second, are
    # not mixed
    assert [step for step, _ in rows] == [5, 10, 15, 20]
    means = [3 * sum(range(a, b)) / (b - a) for a, b in ((1, 6), (6, 11), (1, 4), (4, 9))]
    for (step, row), mean in zip(rows, means, strict=True):
        assert row["step/loss"] == pytest.approx(mean)
        assert row["step/clip_loss"] == pytest.approx(2 * mean)
        assert row["step/gradient_norm"] == pytest.approx(abs(module.gradients[step - 1]))
        assert row["step/lr"] == 0
        assert 0 < row["step/clips_per_second"] < math.inf


@pytest.mark.filterwarnings("ignore")
def test_accumulated_gradients_make_one_entry():
    _, rows = train(every=2, accumulate_grad_batches=3)
    assert [step for step, _ in rows] == [2, 4, 6, 8]
