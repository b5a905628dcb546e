"""Submit runs to Amazon SageMaker, with the command line of `fakesound run`.

fakesound launch sagemaker experiment=mt_vim [key=value ...] [launch.KEY=VALUE ...]
fakesound launch sagemaker -m sweep=backbone
fakesound launch status|fetch NAME
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fakesound import command_line
from fakesound.command_line import entry_point
from fakesound.errors import InputError

if TYPE_CHECKING:
    from fakesound.cloud.settings import SageMakerConfig

DESCRIPTION = """\
Run `fakesound run` on Amazon SageMaker.

sagemaker  submit a run; with -m, or a sweep, one job for each run; a search (sweep=optuna) is one
           job. Each run has its own folder in the bucket, PREFIX/NAME/IDENTITY; IDENTITY is a
           digest of everything that determines its results. If submitted again, a running or
           finished run is skipped, and any other is resumed.
status     list the jobs of a run or sweep
fetch      download the finished runs of a run or sweep, for all other commands
"""
EXAMPLES = """\
examples:
  a run whose recordings are in S3
    fakesound launch sagemaker experiment=mt_vim data.root=s3://BUCKET/recordings \\
      launch.role=ARN launch.image=IMAGE launch.bucket=BUCKET
  print the requests of a sweep
    fakesound launch sagemaker -m sweep=backbone --config aws.yaml --dry-run
  a search on a machine with four GPUs
    fakesound launch sagemaker sweep=optuna hydra.sweeper.trials=40 \\
      launch.instance_type=ml.g5.12xlarge trainer.devices=4 --config aws.yaml
  the state of a sweep, and its comparison
    fakesound launch status backbone
    fakesound launch fetch backbone && fakesound compare outputs/backbone

docker/README.md explains how to build the image. Exit codes: 0 done; 2 wrong input or refused by
AWS (one line; --debug shows more); 1 anything else.
"""


@entry_point
def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_intermixed_args()
    _check(options)
    from fakesound.cloud.settings import read_settings

    words = [word for word in options.words if not word.startswith("launch.")]
    launch_overrides = [word for word in options.words if word.startswith("launch.")]
    settings = read_settings(launch_overrides, options.config)
    if options.what == "sagemaker":
        _submit(words, settings, options)
    elif options.what == "status":
        _status(words[0], settings)
    else:
        _fetch(words[0], settings, options.out)


def _submit(words: Sequence[str], settings: "SageMakerConfig", options: argparse.Namespace) -> None:
    from fakesound.cloud.jobs import expand
    from fakesound.cloud.sagemaker import client, submit, training_request

    jobs = expand(words, options.multirun)
    settings.require("role", "image", "bucket")
    if options.dry_run:
        requests = [training_request(settings, job, datetime.now(UTC)) for job in jobs]
        print(json.dumps(requests, indent=1))
        return
    sagemaker = client("sagemaker", settings.region)
    for job in jobs:
        print(submit(sagemaker, settings, job), flush=True)
    print(f"next: fakesound launch status {jobs[0].name}, then fetch {jobs[0].name}")


def _status(name: str, settings: "SageMakerConfig") -> None:
    from rich.table import Table

    from fakesound.cloud.sagemaker import client, describe, jobs_called
    from fakesound.progress import ResultConsole

    sagemaker = client("sagemaker", settings.region)
    states = jobs_called(sagemaker, name)
    if not states:
        raise InputError(f"{name}: no job with this name in this account and region; check both")
    table = Table("job", "status", "submitted", "hours", "", box=None)
    for state in states:
        failed = state.status == "Failed"
        reason = describe(sagemaker, state.name).get("FailureReason", "") if failed else ""
        hours = ((state.ended or datetime.now(UTC)) - state.created).total_seconds() / 3600
        when = f"{state.created:%Y-%m-%d %H:%M}"
        table.add_row(state.name, state.status, when, f"{hours:.1f}", str(reason))
    ResultConsole(width=None if sys.stdout.isatty() else 200).print(table)


def _fetch(name: str, settings: "SageMakerConfig", out: Path) -> None:
    from fakesound.cloud.sagemaker import address_of, client, fetch_run, finished_runs

    settings.require("bucket")
    s3 = client("s3", settings.region)
    address = address_of(settings, name)
    runs = finished_runs(s3, address)
    if not runs:
        raise InputError(f"{name}: no finished run under {address}; `status {name}` lists its jobs")
    for run, sizes in runs.items():
        target = out / name / run.rpartition("/")[2]
        new = fetch_run(s3, str(settings.bucket), run, sizes, target)
        print(f"{target}: {new} new files")
    print(f"next: fakesound compare {out / name}")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this verb."""
    from fakesound.cloud.settings import keys_help

    parser = command_line.parser("launch", DESCRIPTION, f"{keys_help()}\n{EXAMPLES}")
    parser.add_argument("what", choices=("sagemaker", "status", "fetch"))
    parser.add_argument(
        "words", nargs="*", metavar="KEY=VALUE|NAME", help="overrides, or the name of a run"
    )
    parser.add_argument(
        "-m", "--multirun", action="store_true", help="submit a job for each run of a grid"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print the requests without sending them"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="YAML file of launch settings, without launch."
    )
    parser.add_argument(
        "--out", type=Path, default=Path("outputs"), help="folder for fetched runs (outputs)"
    )
    return parser


def _check(options: argparse.Namespace) -> None:
    """Check the options before anything is read.

    Raises:
        InputError: naming the option and the fix.
    """
    if options.config is not None and not options.config.is_file():
        raise InputError(f"--config={options.config}: no such file; check the path")
    if options.what == "sagemaker":
        return
    for flag in ("multirun", "dry_run"):
        if getattr(options, flag):
            raise InputError(f"--{flag.replace('_', '-')}: is only for `launch sagemaker`")
    names = [word for word in options.words if not word.startswith("launch.")]
    if len(names) != 1 or "=" in names[0]:
        raise InputError(f"{options.what}: needs the name of one run or sweep, such as mt_vim")


if __name__ == "__main__":
    main()
