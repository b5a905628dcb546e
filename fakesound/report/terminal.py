"""Tables on the terminal: of a run, of two systems, of audio that went through something."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from fakesound.report.glossary import CLIP_FIGURES, FRAME_FIGURES
from fakesound.report.paired import paired_parts
from fakesound.report.parts import interval, known, shown_parts
from fakesound.report.robustness import parts_under_conditions
from fakesound.report.run_folder import RunResults
from fakesound.report.wording import number, p_value, signed


def results_table(results: RunResults) -> Table:
    """Return the figures of seen and unseen attacks, each beside calling everything fake.

    Intervals are dimmed. Fits a terminal of 100 columns.
    """
    parts = shown_parts(results)
    table = _table("")
    for part in parts:
        table.add_column(part.title.lower(), style="bold" if part is parts[0] else None)
        table.add_column("all called fake", style="dim")
    counts = []
    for part in parts:
        fakes = sum(clip.fake for clip in part.scores)
        counts += [Text(f"{fakes} of {len(part.scores)} clips"), Text("")]
    table.add_row("fakes", *counts, end_section=True)
    for figure in (*CLIP_FIGURES, *FRAME_FIGURES):
        if known([part.block for part in parts], figure.key):
            cells = []
            for part in parts:
                cells.append(figure_text(part.block, figure.key))
                cells.append(Text(number(part.all_fake.get(figure.key))))
            table.add_row(figure.title, *cells)
    return table


def paired_table(paired: Mapping[str, Any]) -> Table:
    """Return the "paired" object of ``metrics.json`` as a table, the better system in bold.

    Bold only where the difference is beyond chance. Fits a terminal of 100 columns.
    """
    first, second = paired["names"]
    table = _table("")
    table.add_column(Text(first), overflow="ellipsis", max_width=18)
    table.add_column(Text(second), overflow="ellipsis", max_width=18)
    table.add_column("difference", no_wrap=True)
    table.add_column("p", no_wrap=True)
    for part in paired_parts(paired):
        table.add_row(Text(part.title, style="bold"))
        for each in part.differences:
            if each.figure not in (*CLIP_FIGURES, *FRAME_FIGURES):
                continue
            values = [Text(number(value, 3)) for value in (each.a, each.b)]
            if each.better is not None:
                values[each.better].stylize("bold")
            change = Text(signed(each.difference.value, 3))
            if each.difference.interval is not None:
                low, high = each.difference.interval
                change.append(f" [{signed(low, 3)}, {signed(high, 3)}]", style="dim not bold")
            table.add_row(f"  {each.figure.title}", *values, change, p_value(each.p))
    return table


def robustness_table(robustness: Mapping[str, Any]) -> Table:
    """Return the "robustness" object of ``metrics.json`` as a table.

    Clip AUC and segment F1 of the unseen attacks, or of all where none is known to be unseen,
    under each condition, with the change against clean audio. Fits a terminal of 100 columns.
    """
    table = _table("heard")
    parts = parts_under_conditions(robustness)
    if not parts:
        return table
    part = parts[0]
    for figure in part.figures:
        table.add_column(Text(f"{figure.title}\n{part.title.lower()}"), no_wrap=True)
        table.add_column("change", no_wrap=True)
    for row, (title, block) in enumerate(zip(part.titles, part.blocks, strict=True)):
        cells = []
        for figure in part.figures:
            change = part.change(row, figure.key) if row else None
            cells.append(figure_text(block, figure.key))
            cells.append(Text(signed(change) if row else ""))
        table.add_row(Text(title), *cells)
    return table


def figure_text(block: Mapping[str, Any], key: str) -> Text:
    """Return a figure with its interval dimmed."""
    text = Text(number(block.get(key)))
    ends = interval(block, key)
    if ends is not None:
        text.append(f" [{number(ends[0])}, {number(ends[1])}]", style="dim not bold")
    return text


def _table(heading: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(heading)
    return table
