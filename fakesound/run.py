"""Train a detector with attacks held out, test it on them, and report.

    python -m fakesound.run experiment=mt_vim [key=value ...]
    python -m fakesound.run -m sweep=leave_one_attack_out [key=value ...]
    python -m fakesound.run --reproduce RUN_DIR

This module stays light: a mistake in the configuration is told before anything heavy is imported.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.utils import get_args_parser
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.types import RunMode
from omegaconf import DictConfig

from fakesound.cli import FAILED, guarded
from fakesound.composition import (
    compose_config,
    configuration_folder,
    default_values,
    identity,
    readable_errors,
    register_schema,
    run_config,
)
from fakesound.config import RunConfig
from fakesound.errors import InputError
from fakesound.files import LOCK, OWNER, claim

SUPERSEDED = ".superseded"
# Hydra's own, left where they are when a folder is used again
KEPT = (".hydra", SUPERSEDED, "run.log", LOCK, OWNER)
# what plugins of Hydra, by their module, cannot do without
PLUGIN_NEEDS = {"fakesound_optuna": "optuna", "hydra_joblib_launcher": "joblib"}


def main() -> None:
    """Run from the command line."""
    guarded(_main)


def _main() -> None:
    if "--reproduce" in sys.argv:
        _reproduce(sys.argv[1:])
        return
    arguments: Namespace = get_args_parser().parse_args()
    if arguments.help:
        from fakesound.help import run_help

        run_help()
        return
    register_schema()
    sweep = None
    if not (arguments.info or arguments.cfg or arguments.hydra_help or arguments.config_dir):
        sweep = _check(arguments)
    # errors come here, to be said in one line
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with readable_errors():
            _application()
    finally:
        if sweep is not None:
            _compare(sweep)


def _reproduce(arguments: Sequence[str]) -> None:
    """Repeat a run from its record; exit with 1 if the figures do not agree."""
    parser = argparse.ArgumentParser(prog="python -m fakesound.run", add_help=False)
    parser.add_argument("--reproduce", type=Path, metavar="RUN_DIR", required=True)
    options, further = parser.parse_known_args(arguments)
    if further:
        raise InputError(
            f"{further[0]}: --reproduce takes everything from the record; leave it out"
        )
    if not options.reproduce.is_dir():
        raise InputError(f"--reproduce {options.reproduce}: no such folder; give that of a run")
    from fakesound.reporting import read_run

    # a mistake is told before what is heavy is imported
    read_run(options.reproduce)
    from fakesound.reproduction import reproduce

    if not reproduce(options.reproduce):
        sys.exit(FAILED)


def _check(arguments: Namespace) -> Path | None:
    """Find mistakes before Hydra makes a folder; return the folder of a sweep, None for one run.

    A run that is to be resumed is given its folder.
    """
    composed = compose_config(_first_of_each(arguments.overrides), with_hydra=True)
    config = run_config(composed)
    source = config.init["from"]
    if source is not None and not Path(source).is_file():
        raise InputError(
            f"init.from={source}: no such file; check the path, relative ones start where you are"
        )
    if arguments.multirun or composed.hydra.mode == RunMode.MULTIRUN:
        _check_plugins(composed.hydra)
        claim(Path(composed.hydra.sweep.dir), "hydra.sweep.dir")
        return Path(composed.hydra.sweep.dir)
    # after the configuration is known to be right, since this imports more
    from fakesound.forging.corpus import resolve_corpus

    resolve_corpus(config.data, config.split)
    if source is not None:
        from fakesound.build import build_initial

        build_initial(config)
    given = any(override.startswith("hydra.run.dir=") for override in arguments.overrides)
    folder = Path(composed.hydra.run.dir) if given else None
    if config.resume == "auto" and not given:
        folder = _to_resume(Path(composed.hydra.run.dir).parent, config)
        if folder is not None:
            sys.argv.append(f"hydra.run.dir='{folder}'")
    # before Hydra writes there
    if folder is not None and _is_first_process():
        claim(folder, "hydra.run.dir")
    return None


def _is_first_process() -> bool:
    """Return whether this is no further process of a run that has several."""
    ranks = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in ranks)


def _check_plugins(settings: DictConfig) -> None:
    """Find what a sweep needs and is not installed."""
    for part in ("sweeper", "launcher"):
        plugin = str(settings[part]["_target_"]).split(".")[1]
        package = PLUGIN_NEEDS.get(plugin)
        if package is not None and find_spec(package) is None:
            raise InputError(f"hydra/{part}: {package} is not installed; pip install '.[sweep]'")


def _first_of_each(overrides: Sequence[str]) -> list[str]:
    """Return ``overrides`` with the first value of each that sweeps over several."""
    with readable_errors():
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    return [
        f"{override.key_or_group}={_first(override)}" if override.is_sweep_override() else text
        for override, text in zip(parsed, overrides, strict=True)
    ]


def _first(override: Override) -> str | float | None:
    value = override.value()
    if isinstance(value, IntervalSweep):
        return value.start
    return next(iter(override.sweep_string_iterator()))


def _to_resume(parent: Path, config: RunConfig) -> Path | None:
    """Return the folder of the same configuration that is to go on.

    An unfinished one before others, of these the one that has come furthest. The name, which tells
    the time, decides only between equals: clocks go wrong.
    """
    same = [
        path.parent
        for path in parent.glob("*/identity")
        if path.read_text(encoding="utf-8").strip() == identity(config)
    ]
    finished = [folder for folder in same if (folder / "metrics.json").is_file()]
    unfinished = [folder for folder in same if folder not in finished]
    return max(
        unfinished or finished,
        key=lambda folder: (_size(folder / "epochs.jsonl"), folder.name),
        default=None,
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


@hydra.main(config_path=str(configuration_folder()), config_name="config", version_base="1.3")
def _application(composed: DictConfig) -> float | None:
    """Do one run in Hydra's folder and return its objective."""
    # in a worker of joblib's, whose own way of starting processes those it starts do not know
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method("spawn", force=True)
    from fakesound.forging.corpus import resolve_corpus
    from fakesound.progress import console

    config = run_config(composed)
    running = HydraConfig.get()
    folder = Path(running.runtime.output_dir)
    if running.mode == RunMode.MULTIRUN:
        _place_in_sweep(config, running)
    if _is_first_process():
        claim(folder, "hydra.run.dir")
    done = _finished(folder, config)
    if done is not None:
        console.print(f"finished before: {folder}")
        _show(folder)
        return _objective(done)
    corpus = resolve_corpus(config.data, config.split)
    for note in corpus.notes:
        console.print(note, highlight=False)
    _set_aside(folder, config)
    # heavy from here on
    from fakesound import tracking
    from fakesound.experiment import run_experiment

    failed = True
    try:
        results = run_experiment(config, corpus, folder)
        failed = False
    finally:
        tracking.finish(failed)
    _show(folder)
    return _objective(results)


def _place_in_sweep(config: RunConfig, running: HydraConf) -> None:
    """Name the run by what it varies and group it with the others of its sweep, for W&B."""
    varied = [text for text in running.overrides.task if not text.startswith(("sweep=", "resume="))]
    config.logger.group = config.logger.group or config.name
    config.tags = [*config.tags, config.name]
    config.name = ",".join(varied) or config.name


def _finished(folder: Path, config: RunConfig) -> dict[str, Any] | None:
    """Return the results in ``folder`` if they are to be kept and are of this configuration."""
    path = folder / "metrics.json"
    if config.resume != "auto" or not path.is_file():
        return None
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    same = results.get("provenance", {}).get("config_hash") == identity(config)
    return results if same else None


def _set_aside(folder: Path, config: RunConfig) -> None:
    """Move what another run left in ``folder`` out of the way, without losing it."""
    left = folder / "identity"
    if not left.is_file():
        return
    same = left.read_text(encoding="utf-8").strip() == identity(config)
    if same and config.resume == "auto":
        return
    place = folder / SUPERSEDED / time.strftime("%Y-%m-%d_%H-%M-%S")
    place.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in KEPT:
            shutil.move(path, place / path.name)


def _objective(results: dict[str, Any]) -> float | None:
    value = results["objective"]
    return None if value is None else float(value)


def _show(folder: Path) -> None:
    from fakesound.progress import console
    from fakesound.reporting import read_run, results_table, summary

    run = read_run(folder)
    console.print(results_table(run))
    console.print(summary(run))
    console.print(f"report: {folder / 'report.html'}")


def _compare(folder: Path) -> None:
    """Write and show the comparison of a sweep's runs, as far as they are finished."""
    from fakesound.progress import console
    from fakesound.reporting import write_comparison

    if folder.is_dir():
        page = folder / "comparison.html"
        console.print(write_comparison([folder], page, defaults=default_values()))
        console.print(f"comparison: {page}")


if __name__ == "__main__":
    main()
