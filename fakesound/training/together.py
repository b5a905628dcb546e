"""A run on several processes, as `fakesound.run` starts it and as each of them lives it."""

import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from fakesound.config import RunConfig
from fakesound.config.compose import compose_config, run_config
from fakesound.config.saved import from_plain
from fakesound.config.training import check_batch, processes_on_host
from fakesound.errors import InputError
from fakesound.files import write_whole
from fakesound.training import processes

CONFIGURATION = "config.yaml"


def processes_here(config: RunConfig) -> int:
    """Return how many processes this host is to run."""
    here = processes_on_host(config.trainer)
    if here is None:
        import torch

        on_cpu = config.trainer.get("accelerator") == "cpu"
        here = 1 if on_cpu else max(1, torch.cuda.device_count())
        check_batch(config.data.batch_size, here * hosts(config))
    return here


def hosts(config: RunConfig) -> int:
    """Return how many hosts there are to be."""
    return int(config.trainer.get("num_nodes", 1))


def run_together(config: RunConfig, folder: Path) -> dict[str, Any]:
    """Return what ``metrics.json`` holds of the run in ``folder``, made by several processes.

    Raises:
        ProcessError: if one of them fails.
    """
    # the file that tells them all what to run; the first of them writes the same again
    write_whole(folder / CONFIGURATION, yaml.safe_dump(asdict(config), sort_keys=False))
    processes.launch(folder, processes_here(config), hosts(config))
    results: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return results


def help_other_host(overrides: list[str]) -> None:
    """Run this host's processes of a run that another host has begun.

    Raises:
        InputError: if the configuration is wrong.
        ProcessError: if one of them fails.
    """
    config = run_config(compose_config(overrides))
    processes.launch(None, processes_here(config), hosts(config))


def take_part() -> None:
    """Do the part of a process that was started by `processes.launch`, with its command line."""
    processes.end_with_parent()
    if processes.place().rank > 0:
        join()
    else:
        _do(Path(sys.argv[2]))


def join() -> None:
    """Help in the run that the first process tells of, silently."""
    from fakesound.progress import console

    console.quiet = True
    warnings.simplefilter("ignore")
    folder = processes.told()
    if folder is not None:
        _do(folder)


def _do(folder: Path) -> None:
    from fakesound.forging.corpus import resolve_corpus
    from fakesound.training import tracking
    from fakesound.training.experiment import run_experiment

    path = folder / CONFIGURATION
    if not path.is_file():
        raise InputError(
            f"hydra.run.dir={folder}: is not on this host; name a folder that all hosts see"
        )
    config = from_plain(yaml.safe_load(path.read_text(encoding="utf-8")))
    failed = True
    try:
        run_experiment(config, resolve_corpus(config.data, config.split), folder)
        failed = False
    finally:
        tracking.finish(failed)
