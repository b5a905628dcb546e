"""The comparison of a sweep's runs: a table for people, a table for programs, and a page."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from fakesound.reporting.embed import figure_uri, render
from fakesound.reporting.files import write_whole
from fakesound.reporting.parts import Value
from fakesound.reporting.sweep import SweepRow, SweepRun, read_sweep, sweep_rows
from fakesound.reporting.sweep_figure import (
    fold_shown,
    groups_of,
    leaves_one_out,
    setting,
    sweep_figure,
)
from fakesound.reporting.wording import number

JUDGED = ("clip/auc", "segment_f1_20ms")
TITLES = {"clip/auc": "clip AUC", "clip/eer": "EER", "segment_f1_20ms": "segment F1"}


def write_comparison(folder: Path) -> Table:
    """Write ``comparison.csv``, ``.json`` and ``.html`` of the runs under ``folder``.

    Runs that failed or have not finished are listed as such. Returns the table for the terminal.

    Raises:
        InputError: if ``folder`` does not exist or a file of a run cannot be read.
    """
    runs = read_sweep(folder)
    rows = sweep_rows(runs)
    unfinished = [run.name for run in runs if run.metrics is None]
    records = [_record(row) for row in rows]
    write_whole(folder / "comparison.csv", _csv(records, unfinished))
    kept = {"runs": records, "not_finished": unfinished}
    write_whole(folder / "comparison.json", json.dumps(kept, indent=1, allow_nan=False) + "\n")
    write_whole(folder / "comparison.html", _page(folder, runs, rows, unfinished))
    return _table(rows, unfinished)


def _record(row: SweepRow) -> dict[str, Any]:
    """Return a run as flat columns, figures under the keys of ``metrics.json``."""
    record: dict[str, Any] = {"run": row.name, **row.overrides}
    record |= {"held_out": row.held_out, "seed": row.seed}
    for key, figure in row.figures.items():
        low, high = figure.interval or (None, None)
        record |= {key: figure.value, f"{key}/low": low, f"{key}/high": high}
    record["all_fake/segment_f1_20ms"] = row.all_fake_f1
    return record | {"objective": row.objective, "seconds": row.seconds}


def _csv(records: Sequence[Mapping[str, Any]], unfinished: Sequence[str]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(key for record in records for key in record)) or ["run"]
    writer = csv.DictWriter(text, [*columns, "status"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**record, "status": "finished"} for record in records)
    writer.writerows({"run": name, "status": "not finished"} for name in unfinished)
    return text.getvalue()


def _page(
    folder: Path, runs: Sequence[SweepRun], rows: Sequence[SweepRow], unfinished: Sequence[str]
) -> str:
    figure = sweep_figure(rows) if rows else None
    context = {
        "name": folder.resolve().name,
        "total": len(runs),
        "finished": len(rows),
        "unfinished": unfinished,
        "outcome": outcome(rows),
        "figure": None if figure is None else figure_uri(figure),
        "by_attack": leaves_one_out(rows),
        "columns": _figure_columns(rows),
        "override_keys": list(rows[0].overrides) if rows else [],
        "held_out": sorted({row.held_out for row in rows}),
        "seeds": sorted({row.seed for row in rows}),
        "rows": rows,
        "number": number,
    }
    return render("sweep.html.jinja", context)


def outcome(rows: Sequence[SweepRow]) -> Sequence[str]:
    """Return what a sweep found, as a headline and a sentence; nothing if there is nothing to say.

    Of settings the best is the one that did best on validation: the test does not choose.
    """
    fold = fold_shown(rows)
    if leaves_one_out(rows):
        said = [said for key in JUDGED if (said := _span(rows, f"{fold}/{key}"))]
        average = _average(rows, f"{fold}/clip/auc")
        if average is None:
            return ()
        headline = f"Attacks left out one at a time: clip AUC {number(average)} on average"
        return headline, f"By attack, {'; '.join(said)}."
    judged = [group for group in groups_of(rows) if group.objective is not None]
    if len(judged) < 2:
        return ()
    best = max(judged, key=lambda group: group.objective or 0.0)
    mean = f", mean of {len(best.rows)} runs" if len(best.rows) > 1 else ""
    figures = [f"{TITLES[key]} {number(best.mean(f'{fold}/{key}').value)}" for key in TITLES]
    return (
        f"Best on validation: {best.label}",
        f"On {fold} attacks{mean}: {', '.join(figures)}.",
    )


def _average(rows: Sequence[SweepRow], key: str) -> float | None:
    means = [group.mean(key).value for group in groups_of(rows)]
    known = [mean for mean in means if mean is not None]
    return sum(known) / len(known) if known else None


def _span(rows: Sequence[SweepRow], key: str) -> str:
    means = {group.label: group.mean(key).value for group in groups_of(rows)}
    known = {label: mean for label, mean in means.items() if mean is not None}
    if not known:
        return ""
    low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    return (
        f"{TITLES[key.split('/', 1)[1]]} from {number(known[low])} ({low}) to "
        f"{number(known[high])} ({high})"
    )


def _figure_columns(rows: Sequence[SweepRow]) -> list[tuple[str, str]]:
    """Return key and heading of the figures that any run has."""
    keys = dict.fromkeys(key for row in rows for key in row.figures)
    return [
        (key, f"{key.split('/')[0]} {TITLES[key.split('/', 1)[1]]}")
        for key in keys
        if any(row.figures[key].value is not None for row in rows)
    ]


def _table(rows: Sequence[SweepRow], unfinished: Sequence[str]) -> Table:
    """Return what fits a terminal of 100 columns: no EER, intervals for the fold that counts."""
    columns = [(key, title) for key, title in _figure_columns(rows) if not key.endswith("eer")]
    fold, several_seeds = fold_shown(rows), len({row.seed for row in rows}) > 1
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("run", overflow="ellipsis", no_wrap=True)
    if several_seeds:
        table.add_column("seed", justify="right", style="dim")
    for _, title in columns:
        table.add_column(title.replace(" ", "\n", 1), no_wrap=True)
    table.add_column("all fake\nsegment F1", style="dim", no_wrap=True)
    several_attacks = len({row.held_out for row in rows}) > 1
    for row in rows:
        said = [setting(row)] if row.overrides or not several_attacks else []
        cells = [Text(", ".join([*said, row.held_out][: len(said) + several_attacks]))]
        cells += [Text(str(row.seed))] if several_seeds else []
        cells += [_cell(row.figures[key], key.startswith(fold)) for key, _ in columns]
        table.add_row(*cells, number(row.all_fake_f1))
    for name in unfinished:
        table.add_row(Text(name, style="yellow"), *[""] * several_seeds, "not finished")
    return table


def _cell(figure: Value, with_interval: bool) -> Text:
    text = Text(number(figure.value))
    if with_interval and figure.interval is not None:
        low, high = figure.interval
        text.append(f" [{number(low)}, {number(high)}]", style="dim")
    return text
