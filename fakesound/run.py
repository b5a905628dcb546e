"""Train a detector with attacks held out, test it on them, and report.

    fakesound run experiment=mt_vim [key=value ...]
    fakesound run -m sweep=leave_one_attack_out [key=value ...]
    fakesound run --reproduce RUN_DIR

Errors in the configuration are reported before slow imports.
"""

import argparse
import multiprocessing
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.types import RunMode
from omegaconf import DictConfig

from fakesound.command_line import FAILED, WRONG_INPUT, guarded
from fakesound.config import RunConfig
from fakesound.config.compose import (
    compose_config,
    configuration_folder,
    current_overrides,
    keys_help,
    keys_of,
    readable_errors,
    register_schema,
    run_config,
    run_help,
    run_usage,
)
from fakesound.config.saved import flatten
from fakesound.data.training_data import training_data
from fakesound.errors import InputError
from fakesound.files import lock_folder
from fakesound.training import distributed
from fakesound.training.run_folder import archive_previous_run, finished_results, folder_to_resume

# options of Hydra itself
HYDRA_FLAGS = {
    *("--hydra-help", "--version", "--cfg", "-c", "--resolve", "--package", "-p", "--run", "-r"),
    *("--shell-completion", "-sc", "--config-path", "-cp", "--config-name", "-cn"),
    *("--config-dir", "-cd", "--experimental-rerun", "--info", "-i"),
}

if TYPE_CHECKING:  # a slow import, not needed to report errors in the configuration
    from fakesound.forging import Corpus

# package that a Hydra plugin needs, and its extra, by the module of the plugin
PLUGIN_NEEDS = {
    "fakesound_optuna": ("optuna", "sweep"),
    "fakesound_ray": ("ray", "ray"),
    "hydra_joblib_launcher": ("joblib", "sweep"),
}
# plugin that a launcher needs, and its extra
LAUNCHER_NEEDS = {
    "joblib": ("hydra_joblib_launcher", "sweep"),
    "slurm": ("hydra_submitit_launcher", "slurm"),
    "submitit_local": ("hydra_submitit_launcher", "slurm"),
}


def main() -> None:
    """Run from the command line."""
    guarded(_main, again=" with resume=auto")


def _main() -> None:
    if sys.argv[1:2] == [distributed.WORKER]:
        distributed.worker_main()
        return
    distributed.adopt_slurm_environment()
    if distributed.current_rank().rank > 0:
        distributed.wait_and_run()
        return
    if not set(sys.argv[1:]) - {"-m", "--multirun"}:
        sys.stderr.write(run_usage())
        sys.exit(WRONG_INPUT)
    if "--reproduce" in sys.argv:
        _reproduce(sys.argv[1:])
        return
    arguments, flags = _arguments()
    if arguments.help:
        run_help()
        return
    if arguments.keys is not None:
        if arguments.overrides:
            raise InputError(f"{arguments.overrides[0]}: --keys takes one word; remove it")
        keys_help(arguments.keys)
        return
    for flag in flags:
        if flag.startswith("-") and flag.partition("=")[0] not in HYDRA_FLAGS:
            raise InputError(f"{flag}: no such option; {_as_key(flag)}see fakesound run --help")
    register_schema()
    # Hydra reads the command line itself
    renamed = dict(zip(arguments.overrides, current_overrides(arguments.overrides), strict=True))
    sys.argv = [renamed.get(argument, argument) for argument in sys.argv]
    arguments.overrides = list(renamed.values())
    sweep = None
    # with flags of Hydra, such as --cfg and --config-dir, Hydra checks the command line
    if not flags:
        sweep = _check(arguments)
    # otherwise Hydra would print errors itself
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        with readable_errors():
            _application()
    finally:
        if sweep is not None:
            _compare(sweep)


def _arguments() -> tuple[Namespace, list[str]]:
    """Return overrides, --multirun, --help and --keys, and the flags that only Hydra reads."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("overrides", nargs="*")
    parser.add_argument("--multirun", "-m", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("--keys", nargs="?", const="", metavar="WORD")
    return parser.parse_known_intermixed_args()


def _as_key(flag: str) -> str:
    """Return the hint that an option is a key of the configuration; empty if it is not."""
    key, _, value = flag.lstrip("-").replace("-", "_").partition("=")
    known = {"experiment", "sweep", *(name for name, _, _ in keys_of(RunConfig()))}
    return f"did you mean {key}={value or 'VALUE'}? " if key in known else ""


def _reproduce(arguments: Sequence[str]) -> None:
    """Repeat a run from its record; exit with 1 if the figures do not agree."""
    parser = argparse.ArgumentParser(prog="fakesound run", add_help=False)
    parser.add_argument("--reproduce", type=Path, metavar="RUN_DIR", required=True)
    options, further = parser.parse_known_args(arguments)
    if further:
        raise InputError(f"{further[0]}: --reproduce reads everything from the record; remove it")
    if not options.reproduce.is_dir():
        raise InputError(
            f"--reproduce {options.reproduce}: no such folder; give the folder of a run"
        )
    from fakesound.report import read_run

    # errors are reported before slow imports
    read_run(options.reproduce)
    from fakesound.training.reproduce import reproduce

    if not reproduce(options.reproduce):
        sys.exit(FAILED)


def _check(arguments: Namespace) -> Path | None:
    """Check the command line before Hydra makes a folder; return the folder of a sweep, else None.

    If a run is to be resumed, its folder is added to the command line.
    """
    _check_launcher(arguments.overrides)
    composed = compose_config(_first_of_each(arguments.overrides), with_hydra=True)
    config = run_config(composed)
    multirun = arguments.multirun or composed.hydra.mode == RunMode.MULTIRUN
    if multirun and distributed.current_rank().world_size > 1:
        raise InputError(
            "-m: start a sweep without torchrun or srun; with trainer.devices=N each of its runs "
            "has N processes"
        )
    distributed.check_count(config)
    if config.logger.mode == "tensorboard" and find_spec("tensorboard") is None:
        raise InputError(
            "logger=tensorboard: tensorboard is not installed; pip install '.[tensorboard]'"
        )
    source = config.init.path
    if source is not None and not Path(source).exists():
        raise InputError(
            f"init.path={source}: no such file; check the path, which is relative to the working "
            "directory"
        )
    if config.data.root is None and not config.data.manifests():
        training_data("embedded", "data.root=null")
    if multirun:
        _check_plugins(composed.hydra)
        lock_folder(Path(composed.hydra.sweep.dir), "hydra.sweep.dir")
        return Path(composed.hydra.sweep.dir)
    # a slow import, after the configuration has been checked
    from fakesound.forging.corpus import resolve_corpus

    resolve_corpus(config.data, config.split)
    if source is not None:
        from fakesound.models.build import build_initial

        build_initial(config)
    named = any(override.startswith("hydra.run.dir=") for override in arguments.overrides)
    folder = Path(composed.hydra.run.dir) if named else None
    if config.resume == "auto" and not named:
        folder = folder_to_resume(Path(composed.hydra.run.dir).parent, config)
        if folder is not None:
            sys.argv.append(f"hydra.run.dir='{folder}'")
    # locked before Hydra writes to it
    if folder is not None:
        lock_folder(folder, "hydra.run.dir")
    return None


def _check_launcher(overrides: Sequence[str]) -> None:
    """Check that the launcher is installed; Hydra would report it as unknown."""
    for text in overrides:
        key, _, choice = text.partition("=")
        if key == "hydra/launcher" and choice in LAUNCHER_NEEDS:
            package, extra = LAUNCHER_NEEDS[choice]
            if find_spec(f"hydra_plugins.{package}") is None:
                raise InputError(f"{text}: {package} is not installed; pip install '.[{extra}]'")


def _check_plugins(settings: DictConfig) -> None:
    """Check that the plugins of a sweep are installed."""
    for part in ("sweeper", "launcher"):
        plugin = str(settings[part]["_target_"]).split(".")[1]
        package, extra = PLUGIN_NEEDS.get(plugin, (None, None))
        if package is not None and find_spec(package) is None:
            raise InputError(f"hydra/{part}: {package} is not installed; pip install '.[{extra}]'")


def _first_of_each(overrides: Sequence[str]) -> list[str]:
    """Return ``overrides`` with only the first value of each sweep."""
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


@hydra.main(config_path=str(configuration_folder()), config_name="config", version_base="1.3")
def _application(composed: DictConfig) -> float | None:
    """Do one run in Hydra's folder and return its objective."""
    # child processes of a joblib worker do not have its start method
    if multiprocessing.get_start_method(allow_none=True) == "loky":
        multiprocessing.set_start_method("spawn", force=True)
    from fakesound.forging.corpus import resolve_corpus
    from fakesound.progress import console, print_line

    config = run_config(composed)
    running = HydraConfig.get()
    folder = Path(running.runtime.output_dir)
    if running.mode == RunMode.MULTIRUN:
        _name_in_sweep(config, running)
    lock_folder(folder, "hydra.run.dir")
    done = finished_results(folder, config)
    if done is not None:
        console.print(f"finished before: {folder}")
        distributed.publish_run_dir(None)
        _show(folder, running.mode)
        return _objective(done)
    corpus = resolve_corpus(config.data, config.split)
    for note in corpus.notes:
        print_line(note)
    archive_previous_run(folder, config)
    results = _run(config, corpus, folder)
    _show(folder, running.mode)
    return _objective(results)


def _run(config: RunConfig, corpus: "Corpus", folder: Path) -> dict[str, Any]:
    """Do the run, in this process or in new ones, and return its results."""
    count, hosts = distributed.process_count(config)
    if count * hosts > 1 and distributed.current_rank().world_size == 1:
        return distributed.launch_workers(config, corpus, folder)
    # a slow import
    from fakesound.training.experiment import run_experiment

    return run_experiment(config, corpus, folder)


def _name_in_sweep(config: RunConfig, running: HydraConf) -> None:
    """Name the run at W&B by its varied keys, and group it with the others of its sweep."""
    varied = [text for text in running.overrides.task if not text.startswith(("sweep=", "resume="))]
    config.logger.group = config.logger.group or config.name
    config.tags = [*config.tags, config.name]
    config.name = ",".join(varied) or config.name


def _objective(results: dict[str, Any]) -> float | None:
    value = results["objective"]
    return None if value is None else float(value)


def _show(folder: Path, mode: RunMode | None) -> None:
    from fakesound.progress import console, print_line
    from fakesound.report import comparable_note, read_run, results_table, summary

    run = read_run(folder)
    console.print(results_table(run))
    print_line(summary(run))
    if (note := comparable_note(run)) is not None:
        print_line(note)
    print_line(f"report: {folder / 'report.html'}")
    if mode != RunMode.MULTIRUN:
        current = Path.cwd()
        inside = folder.is_relative_to(current)
        shown = str(folder.relative_to(current) if inside else folder)
        print_line(f"next: fakesound detect RECORDING --checkpoint {shlex.quote(shown)}")


def _compare(folder: Path) -> None:
    """Write and show the comparison of the finished runs of a sweep."""
    from fakesound.progress import console
    from fakesound.report import write_comparison

    if any(folder.glob("*/metrics.json")):
        page = folder / "comparison.html"
        console.print(write_comparison([folder], page, defaults=flatten(asdict(RunConfig()))))
        console.print(f"comparison: {page}")


if __name__ == "__main__":
    main()
