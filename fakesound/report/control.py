"""Compare a run with its control: the same run with the held-out attacks in training.

A low score on a held-out attack has two possible causes: the detector does not generalise, or the
attack is hard even if it is in training. The control separates the two.
"""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from fakesound.config.saved import identity
from fakesound.errors import InputError
from fakesound.report.glossary import METRICS, defined
from fakesound.report.run_results import RunResults, read_metrics
from fakesound.report.sections import Table, TableRow

KEYS = ("clip/auc", "clip/eer", "frame/auc", "segment_f1_20ms")


def control_table(results: RunResults) -> Table | None:
    """Return the metrics of held-out attacks, from this run and from its counterpart.

    Rows of the counterpart are absent if it is not found. None for a run without held-out attacks,
    and for an evaluation.
    """
    attacks = (results.metrics.get("provenance") or {}).get("held_out") or []
    if not (results.trained and attacks and results.config.get("split", {}).get("held_out")):
        return None
    blocks = {is_control(results.config): results.metrics["test"].get("attack") or {}}
    other = counterpart(results.folder, results.config)
    if other is not None:
        blocks[not is_control(results.config)] = other["test"].get("attack") or {}
    rows = [
        TableRow(
            f"{attack}, in training (control)" if control else f"{attack}, held out",
            blocks[control][attack],
            {},
            "baseline" if control else "unseen",
        )
        for attack in sorted(attacks)
        for control in sorted(blocks)
        if attack in blocks[control]
    ]
    shown = defined([METRICS[key] for key in KEYS], [row.block for row in rows])
    return Table("attack", shown, rows)


def counterpart(folder: Path, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the metrics of the run next to ``folder`` that differs only in ``split.control``.

    Args:
        folder: folder of a run.
        config: configuration of the run.
    """
    other = deepcopy(dict(config))
    other["split"] = {**other["split"], "control": not is_control(config)}
    wanted = identity(other)
    for path in sorted(folder.resolve().parent.glob("*/identity")):
        if path.read_text(encoding="utf-8").strip() == wanted:
            try:
                return read_metrics(path.parent / "metrics.json")
            except InputError:  # not finished
                continue
    return None


def is_control(config: Mapping[str, Any]) -> bool:
    """Return whether a run has its held-out attacks in training."""
    return bool(config.get("split", {}).get("control", False))
