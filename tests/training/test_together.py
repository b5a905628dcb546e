"""Runs on two processes, by the commands that users type."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from fakesound.errors import InputError
from fakesound.training import processes, together
from tests.conftest import command, fakesound

# single precision, nothing drawn inside the model; several batches of windows, an odd number
EXACT = (
    "trainer.accelerator=cpu", "trainer.precision=32-true", "heads.dropout=0",
    "data.window_seconds=0.2", "report.examples=1", "report.draws=20",
)  # fmt: skip
TOLERANCE = {"rel": 1e-4, "abs": 1e-5}


def metrics(folder):
    return json.loads((folder / "metrics.json").read_text())


def results(folder):
    """Return all that must repeat from run to run."""
    found = metrics(folder)
    found.pop("provenance")
    return found


@pytest.fixture(scope="module")
def alone(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    done = fakesound("run", *small, *EXACT, "hydra.run.dir=out", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "out"


def test_two_processes_train_what_one_does(alone, small, tmp_path):
    arguments = (*small, *EXACT, "trainer.devices=2", "name=two")
    done = fakesound("run", *arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (folder,) = tmp_path.glob("outputs/two/*")
    assert metrics(folder)["provenance"]["processes"] == 2
    one, two = (
        [json.loads(line) for line in (each / "epochs.jsonl").read_text().splitlines()]
        for each in (alone, folder)
    )
    assert [(row["epoch"], row["step"]) for row in two] == [(r["epoch"], r["step"]) for r in one]
    for key in ("train/loss", "train/clip_loss", "train/frame_loss"):
        assert [row[key] for row in two] == [pytest.approx(row[key], **TOLERANCE) for row in one]
    scores = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
    expected = [json.loads(line) for line in (alone / "scores.jsonl").read_text().splitlines()]
    assert [row["clip_id"] for row in scores] == [row["clip_id"] for row in expected]
    # one of everything, said once
    assert len(list(folder.glob("wandb/offline-run-*"))) == 1
    assert done.stderr.count("Unseen attack ") == 1
    assert done.stderr.count("report: ") == 1
    assert "Traceback" not in done.stderr


def test_two_processes_score_what_one_does_and_take_over_its_run(alone, small, tmp_path):
    """The same checkpoint gives the same figures, to the bit."""
    before = tmp_path / "before"
    # in its own place: a checkpoint of Lightning's knows in which folder its best one is
    shutil.copytree(alone, before)
    for name in ("metrics.json", "scores.jsonl", "validation_scores.jsonl"):
        (alone / name).unlink()
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2")
    arguments = ("trainer.devices=2", "resume=auto", f"hydra.run.dir={alone}", "logger=disabled")
    done = subprocess.run(
        [*torchrun, "-m", "fakesound.run", *small, *EXACT, *arguments],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = metrics(alone)["provenance"]
    assert (found["processes"], found["resumed"]) == (2, True)
    assert results(alone) == results(before)
    for name in ("scores.jsonl", "validation_scores.jsonl", "manifest.jsonl"):
        assert (alone / name).read_bytes() == (before / name).read_bytes(), name
    assert {path.name for path in tmp_path.iterdir()} == {"before"}


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("trainer.devices=3",), "data.batch_size=32: 3 processes cannot share"),
        (("trainer.strategy=fsdp",), "trainer.strategy: no such key any more"),
        (("trainer.devices=2", "data.root=/nowhere"), "data.root=/nowhere"),
    ],
)
def test_a_mistake_is_told_once_before_any_process_starts(overrides, words, tmp_path):
    done = fakesound("run", "experiment=mt_vim", *overrides, folder=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_goes_wrong_in_the_first_process_ends_the_run(small, tmp_path):
    """Its family is the only one, which is known once the clips are there."""
    wrong = ("heads.attribution=true", "data.attacks=[vocoder/*]", "data.prepared=new")
    held_out = ("split.held_out=vocoder/quantised_phase", "split.inner_held_out=null")
    arguments = (*small, *wrong, *held_out, "trainer.devices=2", "trainer.accelerator=cpu")
    done = fakesound("run", *arguments, "hydra.run.dir=out", folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("heads.attribution=true: tells families") == 1
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_a_sweep_is_not_for_torchrun(tmp_path):
    environment_of_the_first = "import os; os.environ |= {'RANK': '0', 'WORLD_SIZE': '2'}; "
    script = f"{environment_of_the_first}from fakesound.run import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "-m", "experiment=smoke", "seed=0,1"],
        cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "-m: start a sweep without torchrun or srun" in done.stderr


@pytest.mark.slow
def test_each_run_of_a_sweep_may_have_processes_of_its_own(small, tmp_path):
    arguments = ("-m", *small, *EXACT, "epochs=1", "trainer.devices=2", "seed=0,1", "name=sweep")
    done = fakesound("run", *arguments, "logger=disabled", folder=tmp_path, timeout=500)
    assert done.returncode == 0, done.stderr
    found = [metrics(path.parent) for path in tmp_path.glob("outputs/sweep/*/metrics.json")]
    assert [each["provenance"]["processes"] for each in found] == [2, 2]
    assert (tmp_path / "outputs/sweep/comparison.html").is_file()


@pytest.mark.slow
def test_hosts_train_together(small, tmp_path):
    """Both are this machine, in folders of their own."""
    arguments = (*small, *EXACT, "epochs=1", "logger=disabled", "trainer.num_nodes=2")
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(processes.free_port())}
    folders = [tmp_path / "first", tmp_path / "second"]
    started = []
    for number, folder in enumerate(folders):
        folder.mkdir()
        started.append(
            subprocess.Popen(
                command("run", *arguments),
                cwd=folder,
                env=os.environ | told | {"NODE_RANK": str(number)},
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    said = [process.communicate(timeout=500)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    (path,) = folders[0].glob("outputs/smoke/*/metrics.json")
    assert metrics(path.parent)["provenance"]["processes"] == 2
    assert list(folders[1].iterdir()) == []
    assert "report: " not in said[1]


def test_a_host_that_does_not_see_the_folder_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(together.processes, "told", lambda: tmp_path / "elsewhere")
    monkeypatch.setattr("fakesound.progress.console.quiet", False)
    with pytest.raises(InputError, match="elsewhere: is not on this host"):
        together.join()
