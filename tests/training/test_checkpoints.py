"""Truncated and damaged checkpoints, and resuming from them."""

import errno
import json
import os
import shutil
import subprocess
import sys

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from fakesound.config.compose import compose_config, run_config
from fakesound.forging import resolve_corpus
from fakesound.training.callbacks import read_epochs
from fakesound.training.checkpoints import (
    BEST,
    LAST,
    PREVIOUS,
    LastCheckpoint,
    is_undamaged,
    latest_checkpoint,
)
from fakesound.training.experiment import run_experiment

STEPS, EPOCHS, EACH = 4, 2, 3
# everything that is random in training, and everything that has a state
LIVELY = (
    f"epochs={EPOCHS}", f"steps={STEPS}", f"checkpoint_steps={EACH}", "resume=auto",
    "features.mask=0.5", "heads.dropout=0.2", "optim.ema=0.9", "loss=dwa", "logger=disabled",
    "report.draws=0", "report.examples=0",
)  # fmt: skip


class StopError(Exception):
    """Exception that replaces a kill."""


class StopAt(Callback):
    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            raise StopError


@pytest.fixture(scope="module")
def run(small):
    config = run_config(compose_config([*small, *LIVELY]))
    corpus = resolve_corpus(config.data, config.split)

    def run_in(folder, stop=None):
        original = lightning.Trainer.__init__

        def make(self, *arguments, callbacks, **named):
            original(self, *arguments, callbacks=[*callbacks, StopAt(stop)], **named)

        with pytest.MonkeyPatch.context() as patch:
            if stop is not None:
                patch.setattr(lightning.Trainer, "__init__", make)
            results = run_experiment(config, corpus, folder)
        results.pop("provenance")
        return results

    return run_in


@pytest.fixture(scope="module")
def stopped(run, tmp_path_factory):
    """Return a run that was stopped in its second epoch after a checkpoint."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(StopError):
        run(folder, stop=7)
    return folder


@pytest.fixture(scope="module")
def whole(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, run(folder)


@pytest.fixture
def copy(stopped, tmp_path):
    return shutil.copytree(stopped, tmp_path / "moved")


def steps(path):
    return torch.load(path, weights_only=True)["global_step"]


def test_the_last_two_are_kept_also_within_an_epoch(stopped):
    checkpoints = stopped / "checkpoints"
    assert {path.name for path in checkpoints.iterdir()} == {BEST, LAST, PREVIOUS}
    assert (steps(checkpoints / LAST), steps(checkpoints / PREVIOUS)) == (6, 4)


@pytest.mark.parametrize("lost", [(), (LAST,)])
def test_a_run_stopped_within_an_epoch_ends_bit_for_bit_like_an_undisturbed_one(
    copy, run, whole, lost
):
    """Runs resume at the checkpoint, also in a moved folder."""
    for name in lost:
        (copy / "checkpoints" / name).unlink()
    assert run(copy) == whole[1]
    for name in ("scores.jsonl", "validation_scores.jsonl"):
        assert (copy / name).read_bytes() == (whole[0] / name).read_bytes()
    # losses of the resumed epoch are means over its rest; everything else is the same
    rows = [
        {key: value for key, value in row.items() if not (row["epoch"] and "loss" in key)}
        for folder in (copy, whole[0])
        for row in read_epochs(folder / "epochs.jsonl")
    ]
    assert rows[:EPOCHS] == rows[EPOCHS:]
    ends = [torch.load(f / "checkpoints" / LAST, weights_only=True) for f in (copy, whole[0])]
    for name, tensor in ends[0]["state_dict"].items():
        if isinstance(tensor, torch.Tensor):
            assert torch.equal(tensor, ends[1]["state_dict"][name]), name


def damage(path, how):
    content = bytearray(path.read_bytes())
    if how == "flipped":
        content[len(content) // 2] ^= 1
    elif how == "zeroed":
        content[len(content) // 3 : len(content) // 2] = bytes(
            len(content) // 2 - len(content) // 3
        )
    else:
        content = content[: int(len(content) * how)]
    path.write_bytes(content)


@pytest.mark.parametrize("how", [0.0, 0.1, 0.5, 0.9, 0.999, "flipped", "zeroed"])
def test_a_damaged_checkpoint_is_skipped_with_a_message(copy, how, capsys):
    checkpoints = copy / "checkpoints"
    damage(checkpoints / LAST, how)
    assert not is_undamaged(checkpoints / LAST)
    assert latest_checkpoint(checkpoints) == checkpoints / PREVIOUS
    printed = "".join(capsys.readouterr().err.split())
    assert "last.ckpt:damaged" in printed
    assert "previous.ckpt,step4" in printed


def test_steps_decide_which_checkpoint_is_later(copy):
    checkpoints = copy / "checkpoints"
    swapped = {LAST: (checkpoints / PREVIOUS).read_bytes()}
    swapped[PREVIOUS] = (checkpoints / LAST).read_bytes()
    for name, content in swapped.items():
        (checkpoints / name).write_bytes(content)
    assert latest_checkpoint(checkpoints) == checkpoints / PREVIOUS


def test_a_lost_best_checkpoint_is_replaced(copy, capsys):
    """The previous checkpoint is of the end of the first epoch, the best so far."""
    checkpoints = copy / "checkpoints"
    damage(checkpoints / BEST, 0.5)
    assert latest_checkpoint(checkpoints) == checkpoints / PREVIOUS
    assert "best.ckpt" in capsys.readouterr().err
    best, previous = (
        torch.load(checkpoints / name, weights_only=True)["state_dict"] for name in (BEST, PREVIOUS)
    )
    assert all(
        torch.equal(tensor, previous[name])
        for name, tensor in best.items()
        if isinstance(tensor, torch.Tensor)
    )


def test_training_that_starts_over_is_reported(copy, capsys):
    checkpoints = copy / "checkpoints"
    damage(checkpoints / LAST, 0.5)
    damage(checkpoints / PREVIOUS, "flipped")
    assert latest_checkpoint(checkpoints) is None
    assert "starts at the beginning" in " ".join(capsys.readouterr().err.split())


def test_an_empty_folder_gives_no_message(tmp_path, capsys):
    assert latest_checkpoint(tmp_path) is None
    assert capsys.readouterr().err == ""


FULL = """
import resource, sys
from pathlib import Path
import torch
from fakesound.command_line import guarded
from fakesound.training.checkpoints import AtomicCheckpointIO
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
held = {"weights": torch.zeros(100_000)}
guarded(
    lambda: AtomicCheckpointIO().save_checkpoint(held, Path(sys.argv[1])),
    again=" with resume=auto",
)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are of POSIX")
@pytest.mark.parametrize("name", [BEST, LAST])
def test_a_full_disk_leaves_the_checkpoints_as_they_are(copy, name):
    checkpoints = copy / "checkpoints"
    before = {path.name: path.read_bytes() for path in checkpoints.iterdir()}
    done = subprocess.run(
        [sys.executable, "-c", FULL, checkpoints / name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert name in done.stderr
    assert "resume=auto" in done.stderr
    assert {path.name: path.read_bytes() for path in checkpoints.iterdir()} == before


def test_a_run_resumes_after_a_full_disk(run, whole, tmp_path, monkeypatch):
    saved = []
    write = LastCheckpoint.on_train_batch_end

    def full(self, trainer, *rest):
        if trainer.global_step == STEPS + 2:
            saved.append(trainer.global_step)
            raise OSError(errno.ENOSPC, "No space left on device", "last.ckpt")
        write(self, trainer, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(LastCheckpoint, "on_train_batch_end", full)
        with pytest.raises(OSError, match="No space left"):
            run(tmp_path)
    assert saved
    assert not (tmp_path / "metrics.json").exists()
    assert run(tmp_path) == whole[1]


def test_a_run_resumed_with_other_code_is_noted(run, copy, monkeypatch, capsys):
    monkeypatch.setattr("fakesound.provenance.code_hash", lambda: "0123456789abcdef")
    run(copy)
    notes = json.loads((copy / "metrics.json").read_text())["provenance"]["notes"]
    assert any("0123456789abcdef" in note for note in notes)
    assert "other code" in capsys.readouterr().err


def test_a_run_leaves_the_random_state_and_the_environment_of_its_caller(whole, run, tmp_path):
    torch.manual_seed(5)
    expected, environment = torch.rand(1), dict(os.environ)
    torch.manual_seed(5)
    assert run(tmp_path) == whole[1]
    assert torch.equal(torch.rand(1), expected)
    assert dict(os.environ) == environment
