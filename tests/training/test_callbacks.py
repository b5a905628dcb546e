from types import SimpleNamespace

import torch

from fakesound.training.callbacks import EpochLog, read_epochs


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
