"""Write the comparison of the runs of a sweep as HTML, CSV and JSON."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.table import Table

from fakesound.files import json_text, write_whole
from fakesound.report import formatting
from fakesound.report.clip_view import figure_uri
from fakesound.report.glossary import METRICS, TWO_KEYS
from fakesound.report.style import render
from fakesound.report.sweep import Run, Setting, Sweep, read_sweep
from fakesound.report.sweep_figures import (
    attack_matrices,
    balance_figure,
    matrix_figure,
    settings_figure,
    size_figure,
)
from fakesound.report.sweep_pairs import SettingPair, setting_pairs
from fakesound.report.tables import to_csv
from fakesound.report.terminal import sweep_table

RESAMPLES = 1000
MOST_ROWS = 12  # visible at first


def write_comparison(
    folders: Sequence[Path],
    page: Path,
    reference: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    draws: int = RESAMPLES,
) -> Table:
    """Write the comparison of the runs in ``folders``, and return a table for the terminal.

    Runs that failed or have not finished are listed as such.

    Args:
        folders: folders of sweeps or single runs.
        page: HTML file to write; the CSV and JSON files have the same name.
        reference: ``KEY=VALUE`` of the setting to compare the others with; None for the one
            closest to ``defaults``.
        defaults: default value of each configuration key (with dots).
        draws: number of bootstrap draws of the paired tests; 0 for none.

    Raises:
        InputError: if a folder does not exist, a file of a run cannot be read, or no setting is
            the ``reference``.
    """
    sweep = read_sweep(folders)
    chosen = None
    if sweep.runs or reference is not None:
        chosen = sweep.reference(reference, defaults or {})
    pairs = [] if chosen is None else setting_pairs(sweep, chosen, draws)
    records = [_record(run) for run in sweep.runs]
    content = {
        "runs": records,
        "not_finished": sweep.unfinished,
        "reference": chosen and chosen.label,
        "paired": [asdict(pair) for pair in pairs],
    }
    rows = [{**record, "status": "finished"} for record in records]
    rows += [{"run": name, "status": "not finished"} for name in sweep.unfinished]
    write_whole(page.with_suffix(".csv"), to_csv(rows))
    write_whole(page.with_suffix(".json"), json_text(content, indent=1))
    write_whole(page, _page(sweep, chosen, pairs, page.parent))
    return sweep_table(sweep)


def _page(
    sweep: Sweep, reference: Setting | None, pairs: Sequence[SettingPair], folder: Path
) -> str:
    """Return the page as HTML, with links relative to ``folder``."""
    drawn = {
        "settings": settings_figure(sweep) if sweep.runs else None,
        "attacks": matrix_figure(attack_matrices(sweep)),
        "balance": balance_figure(sweep),
        "size": size_figure(sweep),
    }
    best = sweep.best()
    context: dict[str, object] = {
        "sweep": sweep,
        "best": best,
        "reference": reference,
        "figures": {name: figure_uri(figure) for name, figure in drawn.items() if figure},
        "seeds": sorted({run.seed for run in sweep.runs}),
        "held_out": sorted({run.held_out for run in sweep.runs}),
        "pairs": pairs,
        "references": list(dict.fromkeys(pair.other for pair in pairs)),
        "paired_keys": TWO_KEYS,
        "columns": sweep.columns(),
        "filters": _filters(sweep.runs),
        "most_rows": MOST_ROWS,
        "rows": [(run, _facts(run), _report(run, folder)) for run in sweep.runs],
        "metrics": METRICS,
        "fmt": formatting,
    }
    return render("comparison.html.jinja", context)


def _record(run: Run) -> dict[str, Any]:
    """Return a run as flat columns, with the metric keys of ``metrics.json``."""
    record: dict[str, Any] = {"run": run.name, **run.overrides}
    record |= {"held_out": run.held_out, "seed": run.seed, "fold": run.fold}
    for key, value in run.values.items():
        low, high = value.interval or (None, None)
        record |= {key: value.value, f"{key}/low": low, f"{key}/high": high}
    return record | {
        "all_fake/segment_f1_20ms": run.all_fake_f1,
        "objective": run.objective,
        "parameters": run.parameters,
        "seconds": run.seconds,
        "step_seconds": run.step_seconds,
    }


def _facts(run: Run) -> dict[str, str]:
    """Return the values that a run can be filtered by."""
    facts = {key: formatting.setting(value) for key, value in run.overrides.items()}
    facts |= {"held out": run.held_out or "none", "seed": str(run.seed)}
    return facts if run.fold is None else facts | {"fold": str(run.fold)}


def _filters(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return the values to choose from, for each key that differs between the runs."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, value in _facts(run).items():
            found.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in found.items() if len(values) > 1}


def _report(run: Run, folder: Path) -> str:
    """Return the URL of a run's report relative to ``folder``."""
    return quote(Path(os.path.relpath(run.folder / "report.html", folder)).as_posix())
