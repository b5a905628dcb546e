"""The folder of a run: found again to go on in, or cleared of what another run left there."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

from fakesound.config import RunConfig
from fakesound.config.saved import identity
from fakesound.files import LOCK, OWNER

SUPERSEDED = ".superseded"
# Hydra's own, left where they are when a folder is used again
KEPT = (".hydra", SUPERSEDED, "run.log", LOCK, OWNER)


def folder_to_resume(parent: Path, config: RunConfig) -> Path | None:
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


def finished_results(folder: Path, config: RunConfig) -> dict[str, Any] | None:
    """Return the results in ``folder`` if they are to be kept and are of this configuration."""
    path = folder / "metrics.json"
    if config.resume != "auto" or not path.is_file():
        return None
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    same = results.get("provenance", {}).get("config_hash") == identity(config)
    return results if same else None


def set_aside(folder: Path, config: RunConfig) -> None:
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
