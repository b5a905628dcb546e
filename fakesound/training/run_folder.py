"""Folders of runs: find one to resume, archive a previous run, record the code."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from fakesound import provenance
from fakesound.config import RunConfig
from fakesound.config.saved import identity
from fakesound.files import LOCK, OWNER, write_whole

IDENTITY, CODE, DONE, RUN_LOG = "identity", "code", "metrics.json", "run.log"
SUPERSEDED = ".superseded"
# files that stay when a folder is reused: those of Hydra, and locks
PRESERVED = (".hydra", SUPERSEDED, LOCK, OWNER)


def folder_to_resume(parent: Path, config: RunConfig) -> Path | None:
    """Return the folder of the same configuration to resume; None if there is none.

    Unfinished runs come first, and among them the one with the most epochs. The name, which is the
    time, only breaks ties, since clocks may be wrong.
    """
    same = [path.parent for path in parent.glob(f"*/{IDENTITY}") if _is_of(path.parent, config)]
    unfinished = [folder for folder in same if not (folder / DONE).is_file()]
    return max(
        unfinished or same,
        key=lambda folder: (_size(folder / "epochs.jsonl"), folder.name),
        default=None,
    )


def finished_results(folder: Path, config: RunConfig) -> dict[str, Any] | None:
    """Return the results in ``folder`` if its run is finished and ``config`` resumes runs."""
    path = folder / DONE
    if config.resume != "auto" or not path.is_file():
        return None
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    same = results.get("provenance", {}).get("config_hash") == identity(config)
    return results if same else None


def archive_previous_run(folder: Path, config: RunConfig) -> None:
    """Move the files of another run in ``folder`` into a subfolder of ``.superseded``."""
    if not (folder / IDENTITY).is_file():
        return
    if config.resume == "auto" and _is_of(folder, config):
        return
    archive = folder / SUPERSEDED / time.strftime("%Y-%m-%d_%H-%M-%S")
    archive.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in PRESERVED:
            shutil.move(path, archive / path.name)


def note_code(folder: Path, resumed: bool) -> str | None:
    """Record the version of the code in ``folder``; return a note if it changed during the run."""
    path, now = folder / CODE, provenance.code_hash()
    before = path.read_text(encoding="utf-8").split() if resumed and path.is_file() else []
    codes = before if now in before[-1:] else [*before, now]
    write_whole(path, "\n".join(codes) + "\n")
    if len(codes) == 1:
        return None
    return f"resumed with other code than at the start: {', '.join(codes)}"


def _is_of(folder: Path, config: RunConfig) -> bool:
    return (folder / IDENTITY).read_text(encoding="utf-8").strip() == identity(config)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
