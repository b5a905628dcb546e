"""The page of a comparison: one HTML file with everything inside."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from fakesound.report.compared import TITLES, Compared, figure_columns, outcome
from fakesound.report.embed import figure_uri, render
from fakesound.report.settings import (
    JUDGED,
    leaves_one_out,
    several_attacks,
    short,
    shown,
)
from fakesound.report.sweep import SweepRow
from fakesound.report.sweep_curves import balance_figure, size_figure
from fakesound.report.sweep_figure import sweep_figure
from fakesound.report.sweep_matrix import matrices
from fakesound.report.sweep_pairs import SettingPair
from fakesound.report.sweep_parallel import parallel
from fakesound.report.wording import number, p_value, signed


def sweep_page(compared: Compared, beside: Path) -> str:
    """Return the page of ``compared`` as HTML, links as seen from the folder ``beside``."""
    rows, settings = compared.rows, compared.settings
    figures = {
        "settings": sweep_figure(rows) if rows else None,
        "balance": balance_figure(rows),
        "size": size_figure(settings, compared.part) if rows else None,
    }
    context: dict[str, object] = {
        "name": compared.name,
        "total": len(rows) + len(compared.unfinished),
        "finished": len(rows),
        "unfinished": compared.unfinished,
        "outcome": outcome(rows),
        "figures": {name: figure_uri(drawn) for name, drawn in figures.items() if drawn},
        "by_attack": leaves_one_out(rows),
        "several_attacks": several_attacks(rows),
        "part": compared.part,
        "settings": settings,
        "seeds": sorted({row.seed for row in rows}),
        "held_out": sorted({row.held_out for row in rows}),
        "matrices": matrices(settings),
        "parallel": parallel(rows),
        "reference": compared.reference,
        "pairs": compared.pairs,
        "references": list(dict.fromkeys(pair.other for pair in compared.pairs)),
        "span": _span_of(compared.pairs),
        "columns": figure_columns(rows),
        "override_keys": compared.keys,
        "filters": _filters(rows),
        "rows": [(row, _facts(row), _report(row, beside)) for row in rows],
        "judged": JUDGED,
        "titles": TITLES,
        **{tool.__name__: tool for tool in (number, p_value, signed, short, shown)},
    }
    return render("sweep.html.jinja", context)


def _facts(row: SweepRow) -> dict[str, str]:
    """Return what a run can be found by."""
    facts = {short(key): shown(value) for key, value in row.overrides.items()}
    facts |= {"held out": row.held_out or "nothing", "seed": str(row.seed)}
    return facts if row.fold is None else facts | {"fold": str(row.fold)}


def _filters(rows: Sequence[SweepRow]) -> dict[str, list[str]]:
    """Return the values to choose from, of all that differs between the runs."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for name, value in _facts(row).items():
            found.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in found.items() if len(values) > 1}


def _report(row: SweepRow, beside: Path) -> str:
    """Return the address of a run's report, seen from the page."""
    path = os.path.relpath(row.folder / "report.html", beside)
    return quote(Path(path).as_posix())


def _span_of(pairs: Sequence[SettingPair]) -> dict[str, float]:
    """Return, by figure, the farthest from zero that any interval of a difference reaches."""
    return {
        key: max(
            (
                abs(end)
                for pair in pairs
                if key in pair.differences
                for end in (pair.differences[key].low, pair.differences[key].high)
            ),
            default=0.0,
        )
        or 1.0
        for key in JUDGED
    }
