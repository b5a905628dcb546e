"""Upload offline W&B runs.

fakesound sync FOLDER [FOLDER ...]
"""

import argparse
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from fakesound import command_line
from fakesound.command_line import FAILED, guarded
from fakesound.errors import InputError, ProcessError

DESCRIPTION = """\
Upload the offline W&B runs under each folder of a run or a sweep with `wandb sync`, which skips
uploaded runs. Run `wandb login` first. An uploaded run includes its example clips.
"""
EXAMPLES = """\
examples:
  fakesound sync outputs/mt_vim/TIME
  fakesound sync outputs/backbone --dry-run
"""
OFFLINE = "offline-run-*"


def main() -> None:
    """Run from the command line."""
    guarded(_main)


def _main() -> None:
    options = build_parser().parse_args()
    runs = [run for folder in options.folders for run in _offline_runs(folder)]
    if find_spec("wandb") is None:
        raise InputError("wandb: not installed; pip install wandb")
    command = [sys.executable, "-m", "wandb", "sync", *(["--dry-run"] if options.dry_run else [])]
    if subprocess.run([*command, *map(str, dict.fromkeys(runs))], check=False).returncode:
        # wandb has printed the reason
        raise ProcessError(None, FAILED)


def _offline_runs(folder: Path) -> list[Path]:
    """Return the folders of offline runs in ``folder``, which may be one itself."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give the folder of a run or a sweep")
    folder = folder.resolve()
    runs = [folder] if folder.match(OFFLINE) else sorted(folder.rglob(f"wandb/{OFFLINE}"))
    if not runs:
        raise InputError(f"{folder}: holds no offline W&B run; give the folder of a run or a sweep")
    return runs


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this verb."""
    parser = command_line.parser("sync", DESCRIPTION, EXAMPLES)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="run or sweep")
    parser.add_argument("--dry-run", action="store_true", help="only list the runs to upload")
    return parser


if __name__ == "__main__":
    main()
