"""The lines of figures that a container prints, and the expressions that find them in its log.

SageMaker knows of a job's figures only what such expressions match; a tuning job needs one.
"""

import json
from collections.abc import Mapping
from pathlib import Path

# what a run maximises; the same figure that a local search goes by
OBJECTIVE = "objective"
# of epochs.jsonl, as far as they are there
EPOCH = (
    "train/loss",
    "validation/selection",
    "validation/clip/auc",
    "validation/frame/auc",
)


def metric_definitions() -> list[dict[str, str]]:
    """Return how SageMaker finds each figure in the log of a run."""
    number = r"([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)"
    return [{"Name": name, "Regex": f" {name}={number}"} for name in (OBJECTIVE, *EPOCH)]


def epoch_line(row: Mapping[str, float]) -> str:
    """Return the line of an epoch, given its row of ``epochs.jsonl``."""
    return _line(f"epoch {int(row['epoch'])}:", {key: row[key] for key in EPOCH if key in row})


def result_line(folder: Path) -> str:
    """Return the line of the finished run in ``folder``."""
    results = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    value = results[OBJECTIVE]
    return _line("result:", {} if value is None else {OBJECTIVE: value})


def _line(start: str, figures: Mapping[str, float]) -> str:
    return " ".join([start, *(f"{name}={value:.8g}" for name, value in figures.items())])
