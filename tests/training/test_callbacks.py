"""Logs of epochs and steps, the latter in the training of a small module."""

import math
from types import SimpleNamespace

import lightning
import pytest
import torch
from lightning.pytorch.loggers import Logger

from fakesound.training.callbacks import EpochLog, ProgressBars, StepLog, read_epochs


class Kept(Logger):
    """Store the logged values."""

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


def train(every, *further, **options):
    logger, module = Kept(), Line()
    lightning.Trainer(
        accelerator="cpu",
        max_epochs=2,
        logger=logger,
        callbacks=[StepLog(every), *further],
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


def trainer(epoch, loss, rank_zero=True):
    return SimpleNamespace(
        is_global_zero=rank_zero,
        current_epoch=epoch,
        global_step=10 * (epoch + 1),
        callback_metrics={"train/loss": torch.tensor(loss)},
    )


def test_each_epoch_is_a_line(tmp_path):
    log = EpochLog(tmp_path / "epochs.jsonl")
    for epoch in range(3):
        log.on_train_epoch_end(trainer(epoch, 0.5 * epoch), None)
    assert read_epochs(log.path) == [
        {"epoch": epoch, "step": 10 * (epoch + 1), "train/loss": 0.5 * epoch} for epoch in range(3)
    ]


def test_a_resumed_run_replaces_what_came_after_its_checkpoint(tmp_path):
    log = EpochLog(tmp_path / "epochs.jsonl")
    for epoch in range(3):
        log.on_train_epoch_end(trainer(epoch, 1.0), None)
    EpochLog(log.path).on_train_epoch_end(trainer(1, 2.0), None)
    rows = read_epochs(log.path)
    assert [(row["epoch"], row["train/loss"]) for row in rows] == [(0, 1.0), (1, 2.0)]


def test_only_the_first_process_writes(tmp_path):
    EpochLog(tmp_path / "epochs.jsonl").on_train_epoch_end(trainer(0, 1.0, rank_zero=False), None)
    assert read_epochs(tmp_path / "epochs.jsonl") == []


@pytest.mark.filterwarnings("ignore")
def test_without_a_terminal_each_epoch_is_one_line(capfd):
    train(5, ProgressBars())
    assert capfd.readouterr().err.splitlines() == ["training: 12 of 24", "training: 24 of 24"]
