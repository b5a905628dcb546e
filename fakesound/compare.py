"""Compare the runs of one or several sweeps.

fakesound compare FOLDER [FOLDER ...] [--reference KEY=VALUE] [--out compare.html]
fakesound compare FOLDER --wandb ENTITY/PROJECT
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fakesound import command_line
from fakesound.command_line import check_least, entry_point
from fakesound.errors import InputError

DESCRIPTION = """\
Compare all runs under the folders on one page: medians and ranges over seeds, each attack with each
setting, metrics against loss weights, size and speed, and paired tests of the settings. Writes
FOLDER/comparison.html, .csv and .json. Each sweep does this when it ends.
"""
EXAMPLES = """\
examples:
  compare the settings of a sweep with another reference
    fakesound compare outputs/backbone --reference backbone.name=mobilenet
  compare two sweeps and a run on one page
    fakesound compare outputs/tasks outputs/backbone outputs/mt_vim/TIME --out all.html
  save the comparison as a report at Weights & Biases, for runs that were logged there
    fakesound compare outputs/backbone --wandb ENTITY/PROJECT
"""


@entry_point
def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    _check(options)
    # imported after the checks: slow
    from fakesound.config import RunConfig
    from fakesound.config.saved import flatten
    from fakesound.progress import console
    from fakesound.report import write_comparison

    if options.wandb is not None:
        entity, _, project = options.wandb.partition("/")
        console.print(f"W&B: {_publish(options.folders, entity, project)}")
        return
    page = options.out or options.folders[0] / "comparison.html"
    defaults = flatten(asdict(RunConfig()))
    console.print(
        write_comparison(options.folders, page, options.reference, defaults, options.draws)
    )
    console.print(f"comparison: {page}")


def _publish(folders: Sequence[Path], entity: str, project: str) -> str:
    """Save the report of the runs in ``folders`` at W&B and return its URL."""
    from fakesound.report import read_sweep
    from fakesound.training.wandb_report import publish

    sweep = read_sweep(folders)
    if not sweep.runs:
        raise InputError(f"{folders[0]}: no run has finished yet")
    if all(run.config.get("logger.group") is None for run in sweep.runs):
        raise InputError(f"{folders[0]}: its runs have no W&B group; only sweeps (-m) have one")
    return publish(sweep, entity, project)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this verb."""
    parser = command_line.parser("compare", DESCRIPTION, EXAMPLES)
    parser.add_argument(
        "folders", type=Path, nargs="+", metavar="FOLDER", help="folder of a sweep or of a run"
    )
    parser.add_argument(
        "--reference",
        metavar="KEY=VALUE",
        help="setting to compare the others with; commas between several keys (the default "
        "configuration)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="page to write (FOLDER/comparison.html)"
    )
    parser.add_argument(
        "--draws",
        type=int,
        default=1000,
        help="bootstrap draws of the paired tests; 0 for no tests (1000)",
    )
    parser.add_argument(
        "--wandb",
        metavar="ENTITY/PROJECT",
        help="save the comparison as a report at Weights & Biases instead",
    )
    return parser


def _check(options: argparse.Namespace) -> None:
    """Check the options before any file is read.

    Raises:
        InputError: naming the option and the fix.
    """
    for folder in options.folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give the folder of a sweep or a run")
    check_least(options, draws=0)
    if options.wandb is not None:
        if not all(options.wandb.partition("/")):
            raise InputError(f"--wandb={options.wandb}: must be ENTITY/PROJECT")
        return
    if options.out is None and len(options.folders) > 1:
        raise InputError("--out: missing; with several folders, name a page such as all.html")
    if options.out is not None and options.out.suffix != ".html":
        raise InputError(
            f"--out={options.out}: must end in .html; the CSV and JSON files get the same name"
        )


if __name__ == "__main__":
    main()
