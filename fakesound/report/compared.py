"""What the comparison of a sweep says: its runs, its settings, and any two of these in pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fakesound.errors import InputError
from fakesound.report.settings import (
    JUDGED,
    Setting,
    attacks_of,
    best_on_validation,
    fold_shown,
    leaves_one_out,
    reference_of,
    settings_of,
)
from fakesound.report.sweep import SweepRow, SweepRun, read_sweep, sweep_rows
from fakesound.report.sweep_pairs import SettingPair, setting_pairs
from fakesound.report.wording import number

TITLES = {"clip/auc": "clip AUC", "clip/eer": "EER", "segment_f1_20ms": "segment F1"}


@dataclass(frozen=True)
class Compared:
    """What is compared.

    Attributes:
        name: of the sweep, or of several.
        rows: of the finished runs.
        settings: the same, by what differs.
        unfinished: names of the other runs.
        reference: setting that the others are measured against; None without runs.
        pairs: of settings, on unseen attacks, or on seen ones where none are unseen.
    """

    name: str
    rows: Sequence[SweepRow]
    settings: Sequence[Setting]
    unfinished: Sequence[str]
    reference: Setting | None
    pairs: Sequence[SettingPair]

    @property
    def part(self) -> str:
        """The attacks that count: "unseen", or "seen" where none are."""
        return fold_shown(self.rows)

    @property
    def keys(self) -> list[str]:
        """The keys that differ between the runs, but for seed, fold and attack held out."""
        return list(self.rows[0].overrides) if self.rows else []


def compared_runs(
    folders: Sequence[Path],
    reference: str | None = None,
    defaults: Mapping[str, Any] | None = None,
    draws: int = 0,
) -> Compared:
    """Return the runs in ``folders``, compared; for the arguments see `write_comparison`."""
    runs: list[SweepRun] = []
    for folder in folders:
        found = read_sweep(folder)
        runs += found if len(folders) == 1 else [replace(r, name=str(r.folder)) for r in found]
    rows = sweep_rows(runs)
    settings = settings_of(rows)
    if reference is not None and not settings:
        raise InputError(f"--reference={reference}: no run has finished yet")
    chosen = reference_of(settings, reference, defaults or {}) if settings else None
    pairs = [] if chosen is None else setting_pairs(settings, chosen, draws, fold_shown(rows))
    return Compared(
        name=" and ".join(folder.resolve().name for folder in folders),
        rows=rows,
        settings=settings,
        unfinished=[run.name for run in runs if run.metrics is None],
        reference=chosen,
        pairs=pairs,
    )


def figure_columns(rows: Sequence[SweepRow]) -> list[tuple[str, str]]:
    """Return key and heading of the figures that any run has."""
    keys = dict.fromkeys(key for row in rows for key in row.figures)
    return [
        (key, f"{key.split('/')[0]} {TITLES[key.split('/', 1)[1]]}")
        for key in keys
        if any(row.figures[key].value is not None for row in rows)
    ]


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
    settings = settings_of(rows)
    best = best_on_validation(settings)
    if best is None:
        return ()
    median = f", median of {len(best.rows)} runs" if len(best.rows) > 1 else ""
    figures = [f"{TITLES[key]} {number(best.median(f'{fold}/{key}').value)}" for key in TITLES]
    return (
        f"Best of {len(settings)} on validation: {best.label}",
        f"On {fold} attacks{median}: {', '.join(figures)}.",
    )


def _average(rows: Sequence[SweepRow], key: str) -> float | None:
    known = [v for each in attacks_of(rows) if (v := each.median(key).value) is not None]
    return sum(known) / len(known) if known else None


def _span(rows: Sequence[SweepRow], key: str) -> str:
    medians = {each.label: each.median(key).value for each in attacks_of(rows)}
    known = {label: value for label, value in medians.items() if value is not None}
    if not known:
        return ""
    low, high = min(known, key=known.__getitem__), max(known, key=known.__getitem__)
    return (
        f"{TITLES[key.split('/', 1)[1]]} from {number(known[low])} ({low}) to "
        f"{number(known[high])} ({high})"
    )
