"""Compare runs: of a sweep, of several, or any there are.

python -m fakesound.compare FOLDER [FOLDER ...] [--reference KEY=VALUE] [--out compare.html]
python -m fakesound.compare FOLDER --wandb ENTITY/PROJECT
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from fakesound.command_line import guarded
from fakesound.errors import InputError

DESCRIPTION = """\
One page of all runs under the folders: medians and ranges over seeds, every attack against every
setting, scores against the balance of the losses, size and speed, and a paired test of any two
settings. Writes FOLDER/comparison.html, .csv and .json, as every sweep does at its end.
"""
EXAMPLES = """\
examples:
  a sweep again, measured against another of its settings
    python -m fakesound.compare outputs/backbone --reference backbone.name=mobilenet
  two sweeps and a run in one page
    python -m fakesound.compare outputs/tasks outputs/backbone outputs/mt_vim/TIME --out all.html
  the same comparison at Weights & Biases, of the runs that were sent there
    python -m fakesound.compare outputs/backbone --wandb ENTITY/PROJECT
"""


def main() -> None:
    """Run from the command line."""
    guarded(_main)


def _main() -> None:
    options = _parser().parse_args()
    _check(options)
    # after the checks, since it takes a second
    from fakesound.config import RunConfig
    from fakesound.config.saved import flatten
    from fakesound.progress import console
    from fakesound.report import write_comparison

    if options.wandb is not None:
        console.print(f"W&B: {_publish(options.folders, options.wandb)}")
        return
    page = options.out or options.folders[0] / "comparison.html"
    defaults = flatten(asdict(RunConfig()))
    console.print(
        write_comparison(options.folders, page, options.reference, defaults, options.draws)
    )
    console.print(f"comparison: {page}")


def _publish(folders: Sequence[Path], place: str) -> str:
    """Make the report of the runs in ``folders`` at W&B and return its address."""
    from fakesound.report import compared_runs
    from fakesound.training.wandb_report import Shown, publish

    compared = compared_runs(folders, draws=0)
    if not compared.rows:
        raise InputError(f"{folders[0]}: no run has finished yet")
    groups = {row.config.get("logger.group") for row in compared.rows} - {None}
    if not groups:
        raise InputError(f"{folders[0]}: its runs have no group at W&B, which sweeps set; see -m")
    entity, _, project = place.partition("/")
    shown = Shown(
        name=compared.name,
        groups=sorted(map(str, groups)),
        keys=compared.keys,
        part=compared.part,
        attacks=sorted({attack for row in compared.rows for attack in row.attacks}),
    )
    return publish(shown, entity, project)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=sys.argv[0] if sys.argv[0].startswith("fakesound") else "python -m fakesound.compare",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folders", type=Path, nargs="+", metavar="FOLDER", help="of a sweep, or of a run"
    )
    parser.add_argument(
        "--reference",
        metavar="KEY=VALUE",
        help="setting to measure the others against; several keys with commas (the default one)",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="page to write (comparison.html in FOLDER)"
    )
    parser.add_argument(
        "--draws", type=int, default=1000, help="of the paired tests (1000); 0: leave them out"
    )
    parser.add_argument(
        "--wandb", metavar="ENTITY/PROJECT", help="make it a report at Weights & Biases instead"
    )
    return parser


def _check(options: argparse.Namespace) -> None:
    """Find what does not go together, before anything is read.

    Raises:
        InputError: naming the option and the mend.
    """
    for folder in options.folders:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; give the folder of a sweep or of a run")
    if options.draws < 0:
        raise InputError(f"--draws={options.draws}: must be at least 0")
    if options.wandb is not None:
        if not all(options.wandb.partition("/")):
            raise InputError(f"--wandb={options.wandb}: must be ENTITY/PROJECT")
        return
    if options.out is None and len(options.folders) > 1:
        raise InputError("--out: several folders; say where the page goes, as in --out all.html")
    if options.out is not None and options.out.suffix != ".html":
        raise InputError(f"--out={options.out}: must end in .html; .csv and .json come beside it")


if __name__ == "__main__":
    main()
