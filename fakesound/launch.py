"""Do runs at Amazon SageMaker: the same command, another launcher.

    python -m fakesound.launch sagemaker experiment=mt_vim [key=value ...] [launch.KEY=VALUE ...]
    python -m fakesound.launch sagemaker -m sweep=backbone
    python -m fakesound.launch status|fetch NAME

This module stays light: a mistake on the command line is told before anything is sent.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fakesound import command_line
from fakesound.command_line import guarded
from fakesound.errors import InputError

if TYPE_CHECKING:
    from fakesound.cloud.jobs import Job
    from fakesound.config.launch import SageMakerConfig

DESCRIPTION = """\
Runs at Amazon SageMaker: the command of `python -m fakesound.run`, done by other machines.

sagemaker  submit a run; with -m, or a sweep, a job for each run of it; with --tune, a search. Each
           run has a folder of its own in the bucket, PREFIX/NAME/IDENTITY, IDENTITY being of all
           that decides its results: it goes on after an interruption, and no other run does with
           it. Submitted again, what is under way or finished is left alone, the rest goes on.
status     the jobs of a run or sweep
fetch      download its finished runs, for fakesound.compare and all other verbs
"""
EXAMPLES = """\
examples:
  a run whose data is in S3
    python -m fakesound.launch sagemaker experiment=mt_vim data.root=s3://BUCKET/recordings \\
      launch.role=ARN launch.image=IMAGE launch.bucket=BUCKET
  what would be asked for a sweep
    python -m fakesound.launch sagemaker -m sweep=backbone --config aws.yaml --dry-run
  a search, four trials side by side
    python -m fakesound.launch sagemaker --tune sweep=optuna hydra.sweeper.trials=40 \\
      hydra.sweeper.at_once=4 --config aws.yaml
  what became of a sweep, and its comparison
    python -m fakesound.launch status backbone
    python -m fakesound.launch fetch backbone && python -m fakesound.compare outputs/backbone

The image is built as docker/README.md says. Exit codes: 0 done; 2 wrong input or configuration, or
refused by AWS, said in one line (--debug for more); 1 anything else.
"""


def main() -> None:
    """Run from the command line."""
    guarded(_main)


def _main() -> None:
    options = _parser().parse_intermixed_args()
    _check(options)
    words = [word for word in options.words if not word.startswith("launch.")]
    # after the checks, since they take a moment
    from fakesound.cloud.account import check_installed
    from fakesound.cloud.settings import read_settings

    given = [word for word in options.words if word not in words]
    settings = read_settings(given, options.config)
    if options.what == "sagemaker":
        _submit(words, settings, options)
        return
    check_installed()
    (name,) = words
    if options.what == "status":
        _status(name, settings)
    else:
        _fetch(name, settings, options.out)


def _submit(words: Sequence[str], settings: "SageMakerConfig", options: argparse.Namespace) -> None:
    from fakesound.cloud.account import check_installed, client, submit, why_not
    from fakesound.cloud.jobs import expand, tuning
    from fakesound.cloud.requests import stem_of
    from fakesound.config.launch import NEEDED

    kind = "tuning" if options.tune else "training"
    jobs = [tuning(words)] if options.tune else expand(words, options.multirun)
    settings.check_given(*NEEDED)
    if options.dry_run:
        requests = [_request(kind, settings, job) for job in jobs]
        print(json.dumps(requests, indent=1))
        return
    check_installed()
    sagemaker = client("sagemaker", settings.region)
    for job in jobs:
        reason = why_not(sagemaker, kind, stem_of(kind, job), settings.image)
        if reason is not None:
            print(reason)
            continue
        print(f"submitted {submit(sagemaker, kind, _request(kind, settings, job))}", flush=True)
    name = jobs[0].name
    print(f"watch: python -m fakesound.launch status {name}; results: ... fetch {name}")


def _request(kind: str, settings: "SageMakerConfig", job: "Job") -> dict[str, Any]:
    from fakesound.cloud.requests import training_request, tuning_request

    make = tuning_request if kind == "tuning" else training_request
    return make(settings, job, datetime.now(UTC))


def _status(name: str, settings: "SageMakerConfig") -> None:
    from rich.console import Console
    from rich.table import Table

    from fakesound.cloud.account import KINDS, client, described, list_jobs
    from fakesound.cloud.requests import names_of

    sagemaker = client("sagemaker", settings.region)
    part, pattern = names_of(name)
    states = [state for kind in KINDS for state in list_jobs(sagemaker, kind, part)]
    found = [state for state in states if pattern.fullmatch(state.name)]
    if not found:
        raise InputError(f"{name}: no job of this name in this account and region")
    table = Table("job", "status", "submitted", "hours", "", box=None)
    for state in found:
        reason = ""
        if state.status == "Failed" and state.kind == "training":
            reason = str(described(sagemaker, state.name).get("FailureReason", ""))
        end = state.ended or datetime.now(UTC)
        hours = f"{(end - state.created).total_seconds() / 3600:.1f}"
        when = f"{state.created:%Y-%m-%d %H:%M}"
        table.add_row(state.name, state.status, when, hours, reason)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def _fetch(name: str, settings: "SageMakerConfig", out: Path) -> None:
    from fakesound.cloud.account import client, fetch_run, finished_runs
    from fakesound.cloud.requests import place_of

    settings.check_given("bucket")
    place = place_of(settings, name)
    bucket, _, folder = place.removeprefix("s3://").partition("/")
    s3 = client("s3", settings.region)
    runs = finished_runs(s3, bucket, folder)
    if not runs:
        raise InputError(f"{name}: no finished run under {place}; `status {name}` shows its jobs")
    for run, sizes in runs.items():
        target = out / name / run.rpartition("/")[2]
        print(f"{target}: {fetch_run(s3, bucket, run, sizes, target)} new files")
    print(f"next: python -m fakesound.compare {out / name}")


def _parser() -> argparse.ArgumentParser:
    from fakesound.cloud.settings import keys_help

    parser = command_line.parser("launch", DESCRIPTION, f"{keys_help()}\n{EXAMPLES}")
    parser.add_argument("what", choices=("sagemaker", "status", "fetch"))
    parser.add_argument(
        "words", nargs="*", metavar="KEY=VALUE|NAME", help="overrides, or the name of a run"
    )
    parser.add_argument(
        "-m", "--multirun", action="store_true", help="a job for each of several values"
    )
    parser.add_argument(
        "--tune", action="store_true", help="a tuning job that searches the ranges of a sweep"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the requests as JSON; send nothing"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML file of launch settings, without launch."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("outputs"), help="where fetch puts runs (outputs)"
    )
    return parser


def _check(options: argparse.Namespace) -> None:
    """Find what does not go together, before anything is read.

    Raises:
        InputError: naming the option and the mend.
    """
    if options.config is not None and not options.config.is_file():
        raise InputError(f"--config={options.config}: no such file")
    others = [word for word in options.words if not word.startswith("launch.")]
    if options.what == "sagemaker":
        if options.tune and options.multirun:
            raise InputError("-m and --tune: give one of them; --tune searches, -m tries all")
        return
    for flag in ("multirun", "tune", "dry_run"):
        if getattr(options, flag):
            raise InputError(f"--{flag.replace('_', '-')}: belongs to `launch sagemaker`")
    if len(others) != 1 or "=" in others[0]:
        raise InputError(f"{options.what}: takes the name of one run or sweep, as mt_vim")


if __name__ == "__main__":
    main()
