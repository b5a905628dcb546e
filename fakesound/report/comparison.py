"""The comparison of a sweep's runs: a table for people, tables for programs, and a page."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from fakesound.files import write_whole
from fakesound.report.compared import compared_runs, figure_columns
from fakesound.report.parts import Value
from fakesound.report.settings import fold_shown, label_of
from fakesound.report.sweep import SweepRow
from fakesound.report.sweep_page import sweep_page
from fakesound.report.wording import number

DRAWS = 1000


def write_comparison(
    folders: Sequence[Path],
    page: Path,
    reference: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    draws: int = DRAWS,
) -> Table:
    """Write ``page`` of the runs in ``folders`` and, beside it, the same as ``.csv`` and ``.json``.

    Runs that failed or have not finished are listed as such. Returns the table for the terminal.

    Args:
        folders: of sweeps or single runs.
        page: HTML file to write; its suffix is changed for the others.
        reference: ``KEY=VALUE`` of the setting to measure the others against; None for the one
            nearest to ``defaults``.
        defaults: value of each key where nothing is said, joined by dots.
        draws: of the bootstrap of the paired tests; 0 for none.

    Raises:
        InputError: if a folder does not exist, a file of a run cannot be read, or no setting is
            the ``reference``.
    """
    compared = compared_runs(folders, reference, defaults, draws)
    records = [_record(row) for row in compared.rows]
    kept = {
        "runs": records,
        "not_finished": compared.unfinished,
        "reference": compared.reference and compared.reference.label,
        "paired": [asdict(pair) for pair in compared.pairs],
    }
    write_whole(page.with_suffix(".csv"), _csv(records, compared.unfinished))
    text = json.dumps(kept, indent=1, allow_nan=False)
    write_whole(page.with_suffix(".json"), text + "\n")
    write_whole(page, sweep_page(compared, page.parent))
    return _table(compared.rows, compared.unfinished)


def _record(row: SweepRow) -> dict[str, Any]:
    """Return a run as flat columns, figures under the keys of ``metrics.json``."""
    record: dict[str, Any] = {"run": row.name, **row.overrides}
    record |= {"held_out": row.held_out, "seed": row.seed, "fold": row.fold}
    for key, figure in row.figures.items():
        low, high = figure.interval or (None, None)
        record |= {key: figure.value, f"{key}/low": low, f"{key}/high": high}
    return record | {
        "all_fake/segment_f1_20ms": row.all_fake_f1,
        "objective": row.objective,
        "parameters": row.parameters,
        "seconds": row.seconds,
        "step_seconds": row.step_seconds,
    }


def _csv(records: Sequence[Mapping[str, Any]], unfinished: Sequence[str]) -> str:
    text = io.StringIO()
    columns = list(dict.fromkeys(key for record in records for key in record)) or ["run"]
    writer = csv.DictWriter(text, [*columns, "status"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({**record, "status": "finished"} for record in records)
    writer.writerows({"run": name, "status": "not finished"} for name in unfinished)
    return text.getvalue()


def _table(rows: Sequence[SweepRow], unfinished: Sequence[str]) -> Table:
    """Return what fits a terminal of 100 columns: no EER, intervals for the fold that counts."""
    columns = [(key, title) for key, title in figure_columns(rows) if not key.endswith("eer")]
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
        said = [label_of(row)] if row.overrides or not several_attacks else []
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
