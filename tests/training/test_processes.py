"""Who is who among several processes, and that none outlives the others."""

import subprocess
import sys
from pathlib import Path

import pytest

from fakesound.config.training import check_trainer, processes_in_all, processes_on_host
from fakesound.errors import InputError, ProcessError
from fakesound.training import processes
from fakesound.training.processes import Place, first_host, place, take_place_in_step

STEP = {
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_JOB_ID": "1234567",
}


def test_places_are_those_that_torchrun_tells():
    assert place({}) == Place(0, 1)
    assert place({"RANK": "3", "WORLD_SIZE": "8"}) == Place(3, 8)


def test_tasks_of_a_step_of_slurm_are_told_theirs():
    environment = dict(STEP)
    take_place_in_step(environment)
    assert place(environment) == Place(3, 4)
    told = {key: environment[key] for key in ("LOCAL_RANK", "NODE_RANK", "MASTER_ADDR")}
    assert told == {"LOCAL_RANK": "1", "NODE_RANK": "1", "MASTER_ADDR": "gpu07"}
    assert environment["MASTER_PORT"] == "24567"
    # a task alone, and a script that calls no srun
    for alone in (STEP | {"SLURM_STEP_NUM_TASKS": "1"}, {"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}):
        environment = dict(alone)
        take_place_in_step(environment)
        assert place(environment) == Place(0, 1)


@pytest.mark.parametrize(
    ("hosts", "first"),
    [("gpu[07-09,12],cpu1", "gpu07"), ("a1,a2", "a1"), ("n3", "n3"), ("rack-2-[5]", "rack-2-5")],
)
def test_the_first_host_of_a_list(hosts, first):
    assert first_host(hosts) == first


@pytest.mark.parametrize(
    ("devices", "count"),
    [(1, 1), (4, 4), ("4", 4), ([1, 3], 2), ("1,3", 2), ("auto", None), (-1, None), ("-1", None)],
)
def test_devices_tell_how_many_processes(devices, count):
    assert processes_on_host({"devices": devices}) == count
    both = None if count is None else 2 * count
    assert processes_in_all({"devices": devices, "num_nodes": 2}) == both


@pytest.mark.parametrize(
    ("trainer", "words"),
    [
        ({"devices": "two"}, r"trainer\.devices=two"),
        ({"devices": 0}, r"trainer\.devices=0"),
        ({"num_nodes": 0}, r"trainer\.num_nodes=0"),
        ({"strategy": "fsdp"}, r"trainer\.strategy: no such key"),
        ({"devices": 3}, r"data\.batch_size=32: 3 processes .* multiple of 6"),
    ],
)
def test_what_cannot_be_is_told(trainer, words):
    with pytest.raises(InputError, match=words):
        check_trainer(trainer, 32)
    check_trainer({"devices": 2, "num_nodes": 4}, 32)


def test_another_number_of_processes_than_configured_is_told(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "4")
    processes.check_count(2, 2)
    with pytest.raises(InputError, match=r"trainer\.devices=1, .*: 4 processes were started"):
        processes.check_count(1, 1)


def test_hosts_are_told_of_each_other(tmp_path):
    with pytest.raises(InputError, match="set NODE_RANK, MASTER_ADDR, MASTER_PORT on each host"):
        processes.launch(tmp_path, 2, hosts=2)


@pytest.fixture
def started(monkeypatch):
    """Lets `launch` start scripts, one for each rank, and returns the processes."""

    def instead(scripts):
        popen = subprocess.Popen

        def start(_, env, stdin):
            script = [sys.executable, "-c", scripts[int(env["RANK"])]]
            children.append(popen(script, env=env, stdin=stdin))
            return children[-1]

        children = []
        monkeypatch.setattr(processes.subprocess, "Popen", start)
        return children

    return instead


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("failing", "code", "message"),
    [
        ("import sys; sys.exit(2)", 2, None),
        ("import os; os.kill(os.getpid(), 9)", 1, "process 1 of the run was ended by SIGKILL"),
    ],
)
def test_one_failure_ends_all(started, failing, code, message):
    children = started(["import time; time.sleep(1000)", failing])
    with pytest.raises(ProcessError) as raised:
        processes.launch(Path("run"), 2, 1)
    assert (raised.value.code, raised.value.message) == (code, message)
    assert all(child.returncode is not None for child in children)


@pytest.mark.timeout(60)
def test_processes_share_an_address_and_the_cores(started, tmp_path, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    keys = "RANK LOCAL_RANK WORLD_SIZE NODE_RANK MASTER_PORT OMP_NUM_THREADS"
    script = f"""
import os, pathlib
values = [os.environ[key] for key in "{keys}".split()]
pathlib.Path(r"{tmp_path}", values[0]).write_text(" ".join(values))
"""
    started([script, script])
    processes.launch(tmp_path, 2, 1)
    one, other = ((tmp_path / str(rank)).read_text().split() for rank in (0, 1))
    assert one[:4] == ["0", "0", "2", "0"]
    assert other[:4] == ["1", "1", "2", "0"]
    assert one[4:] == other[4:]


@pytest.mark.timeout(60)
def test_a_process_ends_with_the_one_that_launched_it():
    script = (
        "from fakesound.training.processes import *; import time; "
        "end_with_parent(); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as child:
        child.stdin.close()
        assert child.wait(50) == 1
