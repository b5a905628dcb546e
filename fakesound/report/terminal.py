"""Tables for the terminal, at most 100 columns wide."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from fakesound.report.formatting import bounds, number, p_value, signed
from fakesound.report.glossary import CLIP_METRICS, FRAME_METRICS, METRICS, defined
from fakesound.report.run_results import RunResults, Value, shown_parts, value_of
from fakesound.report.sections import conditions, paired_parts
from fakesound.report.sweep import Sweep


def results_table(results: RunResults) -> Table:
    """Return the metrics of unseen and seen attacks next to the always-fake baseline."""
    parts = shown_parts(results)
    table = empty_table("")
    for part in parts:
        table.add_column(part.title.lower(), style="bold" if part is parts[0] else None)
        table.add_column("always\nfake", style="dim")
    counts = []
    for part in parts:
        counts += [Text(f"{part.fakes} of {len(part.scores)} clips"), Text("")]
    table.add_row("fakes", *counts, end_section=True)
    for metric in defined((*CLIP_METRICS, *FRAME_METRICS), [part.block for part in parts]):
        cells = []
        for part in parts:
            cells.append(value_text(value_of(part.block, metric.key)))
            baseline = part.all_fake.get(metric.key)
            cells.append(Text("" if baseline is None else number(baseline)))
        table.add_row(metric.title, *cells)
    return table


def paired_table(paired: Mapping[str, Any]) -> Table:
    """Return the "paired" object of ``metrics.json`` with significantly better values in bold."""
    first, second = paired["names"]
    table = empty_table("")
    table.add_column(Text(first), overflow="ellipsis", max_width=18)
    table.add_column(Text(second), overflow="ellipsis", max_width=18)
    table.add_column("difference", no_wrap=True)
    table.add_column("p", no_wrap=True)
    for part in paired_parts(paired):
        table.add_row(Text(part.title, style="bold"))
        for each in part.differences:
            if each.metric not in (*CLIP_METRICS, *FRAME_METRICS):
                continue
            values = [Text(number(value, 3)) for value in (each.a, each.b)]
            if each.better is not None:
                values[each.better].stylize("bold")
            change = Text(signed(each.difference.value, 3))
            change.append(f" {bounds(each.difference.interval, 3, sign=True)}", "dim not bold")
            table.add_row(f"  {each.metric.title}", *values, change, p_value(each.p))
    return table


def robustness_table(robustness: Mapping[str, Any]) -> Table:
    """Return the "robustness" object of ``metrics.json`` with the changes from clean audio.

    Clip AUC and segment F1 of the unseen attacks, or of the whole test if none are unseen.
    """
    table = empty_table("condition")
    parts = conditions(robustness)
    if not parts:
        return table
    part = parts[0]
    for metric in part.metrics:
        table.add_column(Text(f"{metric.title}\n{part.title.lower()}"), no_wrap=True)
        table.add_column("change", no_wrap=True)
    for row, (title, block) in enumerate(zip(part.titles, part.blocks, strict=True)):
        cells = []
        for metric in part.metrics:
            cells.append(value_text(value_of(block, metric.key)))
            cells.append(Text(signed(part.change(row, metric.key)) if row else ""))
        table.add_row(Text(title), *cells)
    return table


def value_text(value: Value) -> Text:
    """Return a value and its dimmed interval."""
    text = Text(number(value.value))
    if value.interval is not None:
        text.append(f" {bounds(value.interval)}", style="dim not bold")
    return text


def empty_table(heading: str) -> Table:
    """Return an empty table whose first column has ``heading``."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(heading)
    return table


def sweep_table(sweep: Sweep) -> Table:
    """Return the test metrics of the runs of a sweep, with intervals for the main part only."""
    columns = [key for key in sweep.columns() if not key.endswith(("eer", "frame/auc"))]
    several_seeds = len({run.seed for run in sweep.runs}) > 1
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("run", overflow="ellipsis", no_wrap=True)
    if several_seeds:
        table.add_column("seed", justify="right", style="dim")
    for key in columns:
        part, _, name = key.partition("/")
        table.add_column(f"{part}\n{METRICS[name].title.partition(',')[0]}", no_wrap=True)
    table.add_column("always fake\nSegment F1", style="dim", no_wrap=True)
    for run in sweep.runs:
        names = [run.label] if run.overrides or not sweep.several_attacks else []
        names += [run.held_out] if sweep.several_attacks else []
        cells = [Text(", ".join(names))]
        cells += [Text(str(run.seed))] if several_seeds else []
        for key in columns:
            value = run.values[key]
            main = key.startswith(sweep.part)
            cells.append(value_text(value if main else Value(value.value)))
        table.add_row(*cells, number(run.all_fake_f1))
    for name in sweep.unfinished:
        table.add_row(Text(name, style="yellow"), *[""] * several_seeds, "not finished")
    return table
