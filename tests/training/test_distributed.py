"""Runs on two processes from the command line, and the ranks of processes."""

import os
import shutil
import socket
import subprocess
import sys
from types import SimpleNamespace

import pytest

from fakesound.config import RunConfig
from fakesound.config.training import check_trainer, processes_on_host, total_processes
from fakesound.errors import InputError
from fakesound.training import distributed
from tests.conftest import fakesound, read_metrics, read_results, read_rows, succeed

STEP = {
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_NODELIST": "gpu[07-08]",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_JOB_ID": "1234567",
}


@pytest.fixture
def environment(monkeypatch):
    """Return the environment of the test, which is restored afterwards."""
    monkeypatch.setattr(os, "environ", dict(os.environ))
    for key in [key for key in os.environ if key.startswith(("SLURM_", "MASTER_"))]:
        del os.environ[key]
    return os.environ


def test_ranks_are_those_of_torchrun(environment):
    assert distributed.current_rank() == (0, 1)
    environment |= {"RANK": "3", "WORLD_SIZE": "8"}
    assert distributed.current_rank() == (3, 8)


def test_tasks_of_a_slurm_step_have_ranks(environment):
    environment |= STEP
    distributed.adopt_slurm_environment()
    assert distributed.current_rank() == (3, 4)
    names = ("LOCAL_RANK", "NODE_RANK", "MASTER_ADDR")
    assert [environment[name] for name in names] == ["1", "1", "gpu07"]
    assert environment["MASTER_PORT"] == "19567"


def test_a_slurm_task_alone_is_one_process(environment):
    for alone in (STEP | {"SLURM_STEP_NUM_TASKS": "1"}, {"SLURM_NTASKS": "4"}):
        environment |= alone
        environment["SLURM_STEP_NUM_TASKS"] = alone.get("SLURM_STEP_NUM_TASKS", "1")
        distributed.adopt_slurm_environment()
        assert distributed.current_rank() == (0, 1)


def test_another_number_of_processes_than_configured_is_refused(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    distributed.check_count(RunConfig(trainer={"devices": 2, "num_nodes": 2}))
    with pytest.raises(InputError, match=r"trainer\.devices=1"):
        distributed.check_count(RunConfig())


def test_several_hosts_need_torchrun_or_srun():
    with pytest.raises(InputError, match=r"trainer\.num_nodes=2"):
        distributed.check_count(RunConfig(trainer={"num_nodes": 2}))


@pytest.mark.timeout(100)
def test_a_worker_ends_with_its_parent(tmp_path):
    """Even if the parent was killed."""
    child = "from fakesound.processes import end_with_parent; import time; "
    child += "end_with_parent(); print('ready', flush=True); time.sleep(1000)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"
        started.kill()
        # the pipe closes with its last writer
        assert started.stdout.read() == b""


@pytest.mark.parametrize(
    ("devices", "count"),
    [(1, 1), (4, 4), ("4", 4), ([1, 3], 2), ("1,3", 2), ("auto", None), (-1, None), ("-1", None)],
)
def test_devices_give_the_number_of_processes(devices, count):
    assert processes_on_host({"devices": devices}) == count
    both = None if count is None else 2 * count
    assert total_processes({"devices": devices, "num_nodes": 2}) == both


@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        ({"devices": "two"}, r"trainer\.devices=two"),
        ({"devices": 0}, r"trainer\.devices=0"),
        ({"num_nodes": 0}, r"trainer\.num_nodes=0"),
        ({"devices": 3}, r"data\.batch_size=32: 3 processes .* multiple of 6"),
    ],
)
def test_wrong_numbers_are_refused(trainer, words):
    with pytest.raises(InputError, match=words):
        check_trainer(trainer, 32)
    check_trainer({"devices": 2, "num_nodes": 4}, 32)


# single precision, nothing drawn inside the model; several batches of windows, an odd number
EXACT = (
    "trainer.accelerator=cpu", "trainer.precision=32-true", "heads.dropout=0",
    "data.window_seconds=0.2", "report.examples=1", "report.draws=20",
)  # fmt: skip
TOLERANCE = {"rel": 1e-4, "abs": 1e-5}


@pytest.fixture(scope="module")
def alone(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    succeed("run", *small, *EXACT, "hydra.run.dir=out", folder=folder)
    return folder / "out"


def test_two_processes_train_what_one_does(alone, small, tmp_path):
    arguments = (*small, *EXACT, "trainer.devices=2", "name=two")
    done = succeed("run", *arguments, folder=tmp_path)
    (folder,) = tmp_path.glob("outputs/two/*")
    assert read_metrics(folder)["provenance"]["processes"] == 2
    one, two = (read_rows(each / "epochs.jsonl") for each in (alone, folder))
    assert [(row["epoch"], row["step"]) for row in two] == [(r["epoch"], r["step"]) for r in one]
    for key in ("train/loss", "train/clip_loss", "train/frame_loss"):
        assert [row[key] for row in two] == [pytest.approx(row[key], **TOLERANCE) for row in one]
    scores = read_rows(folder / "scores.jsonl")
    expected = read_rows(alone / "scores.jsonl")
    assert [row["clip_id"] for row in scores] == [row["clip_id"] for row in expected]
    # one of everything, reported once
    assert len(list(folder.glob("wandb/offline-run-*"))) == 1
    assert done.stderr.count("Unseen attack ") == 1
    assert done.stderr.count("report: ") == 1
    assert "Traceback" not in done.stderr


def test_two_processes_resume_a_run_of_one_and_score_the_same(alone, small, tmp_path):
    """The same checkpoint gives bitwise equal figures."""
    before = tmp_path / "before"
    # in another folder: a checkpoint of Lightning holds the folder of the best one
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
    found = read_metrics(alone)["provenance"]
    assert (found["processes"], found["resumed"]) == (2, True)
    assert read_results(alone) == read_results(before)
    for name in ("scores.jsonl", "validation_scores.jsonl", "manifest.jsonl"):
        assert (alone / name).read_bytes() == (before / name).read_bytes(), name
    assert {path.name for path in tmp_path.iterdir()} == {"before"}


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("trainer.devices=3",), "data.batch_size=32: 3 processes cannot share"),
        (("trainer.strategy=fsdp",), "trainer.strategy: was removed"),
        (("trainer.devices=2", "data.root=/nowhere"), "data.root=/nowhere"),
    ],
)
def test_an_error_is_reported_once_before_any_process_starts(overrides, words, tmp_path):
    done = fakesound("run", "experiment=mt_vim", *overrides, folder=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert words in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_first_process_ends_the_run(small, tmp_path):
    """Its family is the only one, which is known only after the clips are read."""
    wrong = ("heads.attribution=true", "data.attacks=[vocoder/*]", "data.prepared=new")
    held_out = ("split.held_out=vocoder/quantised_phase", "split.inner_held_out=null")
    arguments = (*small, *wrong, *held_out, "trainer.devices=2", "trainer.accelerator=cpu")
    done = fakesound("run", *arguments, "hydra.run.dir=out", folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("heads.attribution=true: needs several families") == 1
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
    succeed("run", *arguments, "logger=disabled", folder=tmp_path, timeout=500)
    found = [read_metrics(path.parent) for path in tmp_path.glob("outputs/sweep/*/metrics.json")]
    assert [each["provenance"]["processes"] for each in found] == [2, 2]
    assert (tmp_path / "outputs/sweep/comparison.html").is_file()


@pytest.mark.slow
def test_hosts_train_together(small, tmp_path):
    """Both hosts are this machine with different folders."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=1", "--nnodes=2"]
    torchrun += ["--master-addr=127.0.0.1", f"--master-port={port}"]
    arguments = (*small, *EXACT, "epochs=1", "logger=disabled", "trainer.num_nodes=2")
    folders = [tmp_path / "first", tmp_path / "second"]
    started = []
    for number, folder in enumerate(folders):
        folder.mkdir()
        command = [*torchrun, f"--node-rank={number}", "-m", "fakesound.run", *arguments]
        started.append(subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True))
    printed = [process.communicate(timeout=500)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0], printed
    (path,) = folders[0].glob("outputs/smoke/*/metrics.json")
    assert read_metrics(path.parent)["provenance"]["processes"] == 2
    assert list(folders[1].iterdir()) == []
    assert "report: " not in printed[1]


def test_a_host_that_does_not_see_the_folder_is_an_error(tmp_path, monkeypatch):
    store = SimpleNamespace(get=lambda _: str(tmp_path / "elsewhere").encode())
    monkeypatch.setattr(distributed, "_store", lambda: store)
    monkeypatch.setattr("fakesound.progress.console.quiet", False)
    with pytest.raises(InputError, match="elsewhere"):
        distributed.wait_and_run()
