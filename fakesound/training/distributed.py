"""Train one run with several processes, launched by torch's elastic agent, torchrun or srun.

The first process checks, prepares and reports, as in a run with one process. When it is ready to
train, it publishes the folder of the run to the others, so that errors are reported once.
"""

import json
import logging
import os
import signal
import sys
import tempfile
import warnings
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from fakesound.config import RunConfig
from fakesound.config.saved import from_plain
from fakesound.config.training import check_batch, processes_on_host
from fakesound.errors import InputError, OutsideError, ProcessError
from fakesound.files import write_whole
from fakesound.processes import end_with_parent

if TYPE_CHECKING:  # a slow import, not needed to report errors in the configuration
    from fakesound.forging import Corpus

# first argument of a launched process; the folder of its run is the second
WORKER = "--worker"
CONFIGURATION = "config.yaml"
# longest time that the first process may take to prepare data and model
RENDEZVOUS_TIMEOUT = timedelta(minutes=60)
_KEY = "fakesound/folder"
_stores: list[Any] = []


class Rank(NamedTuple):
    """Number of this process, and number of processes of the run on all hosts."""

    rank: int = 0
    world_size: int = 1


def current_rank() -> Rank:
    """Return the rank that torchrun, srun or the launcher gave this process."""
    if "RANK" in os.environ and "WORLD_SIZE" in os.environ:
        return Rank(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    return Rank()


def adopt_slurm_environment() -> None:
    """Set the environment variables of torchrun from those of SLURM, in a task of a SLURM step."""
    if int(os.environ.get("SLURM_STEP_NUM_TASKS", "1")) == 1 or "RANK" in os.environ:
        return
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    hosts = os.environ.get("SLURM_NODELIST") or os.environ["SLURM_STEP_NODELIST"]
    os.environ |= {
        "RANK": os.environ["SLURM_PROCID"],
        "LOCAL_RANK": os.environ["SLURM_LOCALID"],
        "NODE_RANK": os.environ["SLURM_NODEID"],
        "WORLD_SIZE": os.environ["SLURM_STEP_NUM_TASKS"],
    }
    os.environ.setdefault("MASTER_ADDR", SLURMEnvironment.resolve_root_node_address(hosts))
    # the same for all tasks of a job; the formula of Lightning
    os.environ.setdefault("MASTER_PORT", str(15_000 + int(os.environ["SLURM_JOB_ID"][-4:])))


def process_count(config: RunConfig) -> tuple[int, int]:
    """Return the number of processes on each host and the number of hosts.

    Raises:
        InputError: if the processes cannot share a batch.
    """
    hosts = int(config.trainer.get("num_nodes", 1))
    count = processes_on_host(config.trainer)
    if count is None:
        import torch

        on_cpu = config.trainer.get("accelerator") == "cpu"
        count = 1 if on_cpu else max(1, torch.cuda.device_count())
        check_batch(config.data.batch_size, count * hosts)
    return count, hosts


def check_count(config: RunConfig) -> None:
    """Check that the number of started processes is that of the configuration.

    Raises:
        InputError: if it is not.
    """
    (count, hosts), started = process_count(config), current_rank().world_size
    if started > 1 and started != count * hosts:
        raise InputError(
            f"trainer.devices={count}, trainer.num_nodes={hosts}: {started} processes were "
            "started; set trainer.devices to the number on each host, and trainer.num_nodes to the "
            "number of hosts"
        )
    if started == 1 and hosts > 1:
        raise InputError(
            f"trainer.num_nodes={hosts}: start the run on each host with torchrun or srun"
        )


def publish_run_dir(folder: Path | None) -> None:
    """Let the other processes, if any, train in ``folder``, or end if it is None."""
    if current_rank().world_size > 1:
        _store().set(_KEY, str(folder.resolve()) if folder else "")


def _store() -> Any:  # noqa: ANN401  # torch's
    """Return the store that the processes share before the process group exists."""
    from torch.distributed.rendezvous import rendezvous

    if not _stores:
        own = current_rank()
        store, *_ = next(rendezvous("env://", own.rank, own.world_size, timeout=RENDEZVOUS_TIMEOUT))
        store.set_timeout(RENDEZVOUS_TIMEOUT)
        _stores.append(store)
    return _stores[0]


def launch_workers(config: RunConfig, corpus: "Corpus", folder: Path) -> dict[str, Any]:
    """Train the run in ``folder`` with several processes of this host; return its results.

    Raises:
        ProcessError: if one of them fails; the others are ended.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    from fakesound.training.experiment import prepare

    write_whole(folder / CONFIGURATION, yaml.safe_dump(asdict(config), sort_keys=False))
    # may take hours, longer than workers wait for each other
    prepare(config, corpus)
    count, _ = process_count(config)
    before = dict(os.environ)
    share = str(max(1, (os.cpu_count() or 1) // count))
    os.environ |= {key: before.get(key, share) for key in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")}
    # only for Hydra; with it, workers would print tracebacks
    os.environ.pop("HYDRA_FULL_ERROR", None)
    launch = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        max_restarts=0,
    )
    # the log of the agent would repeat the error that the worker has reported
    logging.disable(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory() as logs:
            launch.logs_specs = DefaultLogsSpecs(log_dir=logs)
            elastic_launch(launch, sys.executable)("-m", "fakesound.run", WORKER, str(folder))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            raise ProcessError(f"process {rank} of the run was killed by {name}", 1) from None
        raise ProcessError(None, failure.exitcode) from None
    except SignalException as error:
        name = signal.Signals(error.sigval).name
        raise ProcessError(f"the run was stopped by {name}; resume=auto resumes it", 1) from None
    finally:
        logging.disable(logging.NOTSET)
        os.environ.clear()
        os.environ.update(before)
    results: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return results


def worker_main() -> None:
    """Train as a process that `launch_workers` started."""
    end_with_parent()
    if current_rank().rank > 0:
        wait_and_run()
    else:
        _run(Path(sys.argv[2]))


def wait_and_run() -> None:
    """Wait for the run of the first process and train in it, without output.

    Raises:
        OutsideError: if the first process does not publish the run in time.
    """
    from torch.distributed import DistError

    from fakesound.progress import console

    console.quiet = True
    warnings.simplefilter("ignore")
    try:
        folder = _store().get(_KEY).decode()
    except DistError as error:
        raise OutsideError(
            f"process {current_rank().rank}: the first process did not start training within "
            f"{RENDEZVOUS_TIMEOUT}; if forging takes longer, forge with one process first"
        ) from error
    if folder:
        _run(Path(folder))


def _run(folder: Path) -> None:
    from fakesound.forging.corpus import resolve_corpus
    from fakesound.training.experiment import run_experiment

    path = folder / CONFIGURATION
    if not path.is_file():
        raise InputError(
            f"hydra.run.dir={folder}: is not on this host; name a folder that all hosts share"
        )
    config = from_plain(yaml.safe_load(path.read_text(encoding="utf-8")))
    run_experiment(config, resolve_corpus(config.data, config.split), folder)
