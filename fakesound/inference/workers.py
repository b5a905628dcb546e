"""Workers that score shards: local processes, a Ray cluster, or an array of Slurm jobs."""

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from fakesound.errors import InputError, did_you_mean
from fakesound.processes import one_thread_each, process_pool

PACKAGES = {"ray": "ray", "slurm": "submitit"}
ARRAY = 1000  # jobs per array; Slurm's default limit is 1,001

Call = Callable[..., Any]
Tasks = Sequence[tuple[Any, ...]]


def workers_of(
    name: str, options: Mapping[str, Any], folder: Path, gpus: int
) -> "LocalWorkers | RayWorkers | SlurmWorkers":
    """Return the workers that ``--workers`` names: a context manager with ``submit``.

    ``submit`` returns futures with ``done()`` and ``result()``; the latter raises one of ``lost``
    if the worker crashed.

    Args:
        name: number of local processes, "ray" or "slurm".
        options: arguments of ``ray.init``, or parameters of submitit's executor.
        folder: folder for the logs of Slurm jobs.
        gpus: GPUs per worker on a cluster.

    Raises:
        InputError: for another name, a missing package, or options for local processes.
    """
    if name.isdecimal() and int(name) > 0:
        if options:
            raise InputError(f"--worker-option={next(iter(options))}: only for ray and slurm")
        return LocalWorkers(int(name))
    if name not in PACKAGES:
        hint = did_you_mean(name, PACKAGES, before="; ")
        raise InputError(f"--workers={name}: must be a number from 1, ray or slurm{hint}")
    if find_spec(PACKAGES[name]) is None:
        raise InputError(
            f"--workers={name}: {PACKAGES[name]} is not installed; pip install '.[{name}]'"
        )
    return RayWorkers(options, gpus) if name == "ray" else SlurmWorkers(options, folder, gpus)


class LocalWorkers:
    """Local processes, each in its own pool, so that a crash of one does not affect the others.

    Args:
        count: number of processes.
    """

    lost: tuple[type[BaseException], ...] = (BrokenProcessPool,)
    pause = 0.02

    def __init__(self, count: int) -> None:
        self.count, self.own = count, threading.local()

    def __enter__(self) -> Self:
        self.open = ExitStack()
        self.open.enter_context(one_thread_each())
        self.threads = self.open.enter_context(ThreadPoolExecutor(self.count))
        return self

    def __exit__(self, *_: object) -> None:
        self.threads.shutdown(cancel_futures=True)
        self.open.close()

    def submit(self, call: Call, tasks: Tasks) -> list[Any]:
        """Return a future for each call, which runs in the process of a free thread."""
        return [self.threads.submit(self._call, call, *arguments) for arguments in tasks]

    def _call(self, call: Call, *arguments: Any) -> Any:  # noqa: ANN401
        if getattr(self.own, "pool", None) is None:
            self.own.pool = process_pool(1)
        try:
            return self.own.pool.submit(call, *arguments).result()
        except BrokenProcessPool:
            self.own.pool = None
            raise


class RayWorkers:
    """Tasks on the Ray cluster at ``address`` or ``RAY_ADDRESS``, else on this machine.

    Args:
        options: arguments of ``ray.init``.
        gpus: GPUs per task.
    """

    pause = 0.1

    def __init__(self, options: Mapping[str, Any], gpus: int) -> None:
        self.options, self.gpus = dict(options), gpus

    def __enter__(self) -> Self:
        import ray

        self.started = not ray.is_initialized()
        if self.started:
            here = "address" not in self.options and "RAY_ADDRESS" not in os.environ
            quiet = {"include_dashboard": False} if here else {}
            try:
                ray.init(**({"log_to_driver": False} | quiet | self.options))
            except (ConnectionError, RuntimeError, TypeError, ValueError) as error:
                reason = " ".join(str(error).split())
                raise InputError(f"--workers=ray: cannot start ({reason})") from None
        errors = ray.exceptions
        self.lost: tuple[type[BaseException], ...] = (
            errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError,
            errors.LocalRayletDiedError, errors.TaskUnschedulableError,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        import ray

        if self.started:
            ray.shutdown()

    def submit(self, call: Call, tasks: Tasks) -> list[Any]:
        """Return a future for each call, which runs as a Ray task."""
        import ray

        # the caller retries
        remote = ray.remote(num_cpus=1, num_gpus=self.gpus, max_retries=0)(call)
        return [remote.remote(*arguments).future() for arguments in tasks]


class SlurmWorkers:
    """Slurm jobs through submitit; jobs that are submitted together form an array.

    Args:
        options: ``cluster`` and parameters of submitit's executor, such as ``slurm_partition``.
        folder: folder for scripts and logs; all hosts must see it.
        gpus: GPUs per job.
    """

    pause = 1.0

    def __init__(self, options: Mapping[str, Any], folder: Path, gpus: int) -> None:
        self.options, self.folder = dict(options), folder
        self.defaults = {"cpus_per_task": 1, "mem_gb": 4, "timeout_min": 240, "gpus_per_node": gpus}

    def __enter__(self) -> Self:
        import submitit

        cluster = self.options.pop("cluster", "slurm")
        try:
            self.executor = submitit.AutoExecutor(self.folder, cluster=cluster)
            self.executor.update_parameters(**(self.defaults | self.options))
        except (AssertionError, NameError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"--workers=slurm: cannot submit ({reason})") from None
        self.lost: tuple[type[BaseException], ...] = (submitit.core.utils.UncompletedJobError,)
        self.jobs: list[Any] = []
        return self

    def __exit__(self, *_: object) -> None:
        for job in self.jobs:
            if not job.done():
                job.cancel(check=False)

    def submit(self, call: Call, tasks: Tasks) -> list[Any]:
        """Return a job for each call."""
        submitted: list[Any] = []
        for first in range(0, len(tasks), ARRAY):
            with self.executor.batch():
                array = [self.executor.submit(call, *each) for each in tasks[first : first + ARRAY]]
            submitted += array
        self.jobs += submitted
        return submitted
