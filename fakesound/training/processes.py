"""The processes that train one model together, started here, by ``torchrun`` or by ``srun``.

The first one checks, prepares and reports as a run alone does; when it is ready to train it tells
the others in which folder. Until then they wait, so that a mistake is said once, data is made once
and no collective of torch's has to outlast the making.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, MutableMapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from fakesound.errors import InputError, ProcessError

# of the command line of a process that is started here: the folder of its run comes next
PART_OF = "--part-of"
# forging may take hours
PATIENCE = timedelta(days=7)
GRACE_SECONDS = 10.0
_KEY = "fakesound/folder"
_kept: list[Any] = []


class Place(NamedTuple):
    """Which of how many processes this is, counted over all hosts."""

    rank: int = 0
    size: int = 1


def place(environment: Mapping[str, str] = os.environ) -> Place:
    """Return the place of this process among those of its run."""
    if "RANK" in environment and "WORLD_SIZE" in environment:
        return Place(int(environment["RANK"]), int(environment["WORLD_SIZE"]))
    return Place()


def is_on_another_host(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the run that this one is to be part of begins on another host."""
    return "RANK" not in environment and int(environment.get("NODE_RANK", "0")) > 0


def take_place_in_step(environment: MutableMapping[str, str]) -> None:
    """Give a task of a SLURM step the variables by which ``torchrun`` tells processes theirs."""
    count = int(environment.get("SLURM_STEP_NUM_TASKS", "1"))
    if count == 1 or "RANK" in environment:
        return
    hosts = environment["SLURM_STEP_NODELIST"]
    environment["RANK"] = environment["SLURM_PROCID"]
    environment["LOCAL_RANK"] = environment["SLURM_LOCALID"]
    environment["NODE_RANK"] = environment["SLURM_NODEID"]
    environment["WORLD_SIZE"] = str(count)
    environment.setdefault("MASTER_ADDR", first_host(hosts))
    # the same for all tasks of a job, and hardly another's
    environment.setdefault("MASTER_PORT", str(20_000 + int(environment["SLURM_JOB_ID"]) % 10_000))


def first_host(hosts: str) -> str:
    """Return the first of SLURM's list of hosts: of ``gpu[07-09,12],cpu1`` it is ``gpu07``."""
    return re.sub(r"\[([^,\]-]+)[^\]]*\]", r"\1", hosts).split(",")[0]


def check_count(here: int, hosts: int) -> None:
    """Check that as many processes were started as the configuration says.

    Raises:
        InputError: if not.
    """
    count = place().size
    if count != here * hosts:
        raise InputError(
            f"trainer.devices={here}, trainer.num_nodes={hosts}: {count} processes were started; "
            "set trainer.devices to those on each host, and trainer.num_nodes to the hosts"
        )


def tell(folder: Path) -> None:
    """Let the others, if there are any, join the run in ``folder``."""
    if place().size > 1:
        _store().set(_KEY, str(folder.resolve()))


def dismiss() -> None:
    """Tell the others that there is nothing to do."""
    if place().size > 1:
        _store().set(_KEY, "")


def told() -> Path | None:
    """Return the folder of the run as soon as the first process tells it; None: nothing to do."""
    folder = _store().get(_KEY).decode()
    return Path(folder) if folder else None


def _store() -> Any:  # noqa: ANN401  # torch's
    """Return what the processes share before they are torch's process group."""
    from torch.distributed.rendezvous import rendezvous

    if not _kept:
        mine = place()
        store, _, _ = next(rendezvous("env://", mine.rank, mine.size, timeout=PATIENCE))
        store.set_timeout(PATIENCE)
        _kept.append(store)
    return _kept[0]


def launch(folder: Path | None, here: int, hosts: int) -> None:
    """Run ``here`` processes of the run in ``folder`` until they end; if one fails, end them all.

    Args:
        folder: of the run; None on all hosts but the first.
        here: processes on this host.
        hosts: as many; each is started with ``NODE_RANK``, ``MASTER_ADDR`` and ``MASTER_PORT``.

    Raises:
        InputError: if several hosts are not told of each other.
        ProcessError: if a process fails, with its exit code.
    """
    shared = dict(os.environ)
    # set for Hydra alone; what is wrong is to be told in one line
    shared.pop("HYDRA_FULL_ERROR", None)
    if hosts > 1:
        missing = [key for key in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT") if key not in shared]
        if missing:
            raise InputError(
                f"trainer.num_nodes={hosts}: set {', '.join(missing)} on each host, or start it "
                "with torchrun or srun"
            )
    else:
        shared |= {"NODE_RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    share = str(max(1, (os.cpu_count() or 1) // here))
    for key in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        shared.setdefault(key, share)
    shared["WORLD_SIZE"] = str(here * hosts)
    command = [sys.executable, "-m", "fakesound.run", PART_OF, str(folder or "")]
    first = int(shared["NODE_RANK"]) * here
    children = [
        subprocess.Popen(
            command,
            env=shared | {"LOCAL_RANK": str(local), "RANK": str(first + local)},
            # never written to: when it closes, whoever started them is gone
            stdin=subprocess.PIPE,
        )
        for local in range(here)
    ]
    try:
        _wait(children, first)
    finally:
        _end(children)


def _wait(children: list[subprocess.Popen[bytes]], first: int) -> None:
    while True:
        codes = [child.poll() for child in children]
        failed = [(rank, code) for rank, code in enumerate(codes, first) if code]
        if failed:
            rank, code = failed[0]
            if code < 0:
                name = signal.Signals(-code).name
                raise ProcessError(f"process {rank} of the run was ended by {name}", 1)
            raise ProcessError(None, code)
        if None not in codes:
            return
        time.sleep(0.1)


def _end(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + GRACE_SECONDS
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdin is not None:
            child.stdin.close()


def end_with_parent() -> None:
    """End this process when the one that launched it is gone."""

    def watch() -> None:
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def free_port() -> int:
    """Return a port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
