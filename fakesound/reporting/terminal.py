"""The final table of a run on the terminal."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from fakesound.reporting.glossary import CLIP_FIGURES, FRAME_FIGURES
from fakesound.reporting.parts import interval, known, shown_parts
from fakesound.reporting.run_folder import RunResults
from fakesound.reporting.wording import number


def results_table(results: RunResults) -> Table:
    """Return the figures of seen and unseen attacks, each beside calling everything fake.

    Intervals are dimmed. Fits a terminal of 100 columns.
    """
    parts = shown_parts(results)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("")
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


def figure_text(block: Mapping[str, Any], key: str) -> Text:
    """Return a figure with its interval dimmed."""
    text = Text(number(block.get(key)))
    ends = interval(block, key)
    if ends is not None:
        text.append(f" [{number(ends[0])}, {number(ends[1])}]", style="dim not bold")
    return text
