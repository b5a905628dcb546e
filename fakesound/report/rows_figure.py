"""Draw values with intervals: one row per compared item, one panel per metric."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fakesound.report.run_results import Value
from fakesound.report.style import PALETTE, new_figure, style_context

ROW, APART, MARGINS = 0.26, 0.14, 0.75  # inches
LONGEST_LABEL = 44
MIN_RANGE = 0.1  # narrowest range of an axis


@dataclass(frozen=True)
class Row:
    """Row of the figure.

    Attributes:
        label: name on the left.
        group: heading above it; rows of one group follow each other.
        colour: colour of the name.
    """

    label: str
    group: str | None = None
    colour: str = PALETTE.ink


@dataclass(frozen=True)
class Series:
    """One value for each row.

    Attributes:
        values: values from the top row down; undefined ones are not drawn.
        label: name in the legend; empty for none.
        colour: colour of dots and intervals.
        reference: value to compare with, drawn as a dashed line through all rows.
        runs: single values of each row, drawn as small dots below the value.
    """

    values: Sequence[Value]
    label: str = ""
    colour: str = PALETTE.seen
    reference: float | None = None
    runs: Sequence[Sequence[float]] = ()


@dataclass(frozen=True)
class Panel:
    """Series over one axis.

    Attributes:
        title: name of the metric.
        series: one or more series; values of one row are drawn below each other.
        baseline: value of a trivial baseline in each row, drawn as a vertical tick.
        differences: whether the values are differences, drawn around zero.
    """

    title: str
    series: Sequence[Series]
    baseline: Sequence[float | None] = ()
    differences: bool = False


def rows_figure(rows: Sequence[Row], panels: Sequence[Panel]) -> Figure | None:
    """Draw dots with intervals in panels side by side; None without any value."""
    panels = [panel for panel in panels if any(_known(each.values) for each in panel.series)]
    if not panels:
        return None
    heights, ticks = _heights(rows)
    most = max(len(panel.series) for panel in panels)
    several = max(
        sum(each.values[index].value is not None for each in panel.series)
        for panel in panels
        for index in range(len(rows))
    )
    step = ROW + APART * (several - 1)
    with style_context():
        figure = new_figure(MARGINS + step * len(ticks) + (0.3 if most > 1 else 0))
        all_axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, panel in zip(all_axes, panels, strict=True):
            _draw(axes, panel, heights, APART / step)
        all_axes[0].set_ylim(len(ticks) - 0.5, -0.5)
        all_axes[0].set_yticks(range(len(ticks)), [_shortened(label) for label, _ in ticks])
        for text, (_, colour) in zip(all_axes[0].get_yticklabels(), ticks, strict=True):
            text.set_color(colour)
        handles = {
            label: handle
            for axes in all_axes
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        if len(handles) > any(panel.baseline for panel in panels):
            figure.legend(
                handles.values(), handles.keys(), loc="outside lower left", ncols=len(handles)
            )
    return figure


def _heights(rows: Sequence[Row]) -> tuple[list[int], list[tuple[str, str]]]:
    """Return the height of each row, and text and colour of each tick, headings included."""
    heights: list[int] = []
    ticks: list[tuple[str, str]] = []
    group = None
    for row in rows:
        if row.group is not None and row.group != group:
            ticks.append((row.group, PALETTE.muted))
        group = row.group
        heights.append(len(ticks))
        ticks.append((row.label, row.colour))
    return heights, ticks


def _draw(axes: Axes, panel: Panel, heights: Sequence[int], apart: float) -> None:
    axes.set_title(panel.title, color=PALETTE.ink, pad=8)
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.grid(True, axis="x")
    axes.margins(x=0.06)
    marks = [(v, y) for v, y in zip(panel.baseline, heights, strict=False) if v is not None]
    if marks:
        style = {"color": PALETTE.muted, "markersize": 11, "markeredgewidth": 1.3}
        axes.plot(*zip(*marks, strict=True), "|", label="trivial baseline", **style)  # type: ignore[arg-type]
    if panel.differences:
        axes.axvline(0, color=PALETTE.ink, linewidth=0.8, zorder=1)
    for place, series in enumerate(panel.series):
        if series.reference is not None:
            axes.axvline(
                series.reference, color=series.colour, linewidth=0.8, linestyle=(0, (2, 2))
            )
        found = list(_dots(panel.series, place, heights, apart))
        # dots at the ends of the axis stay whole
        dots = {"color": series.colour, "clip_on": False}
        spans = [(*v.interval, y) for v, y in found if v.interval is not None]
        axes.hlines(
            [y for *_, y in spans],
            [start for start, *_ in spans],
            [end for _, end, _ in spans],
            color=series.colour,
            linewidth=1.4,
        )
        axes.plot(
            np.array([v.value for v, _ in found], dtype=np.float64),
            np.array([y for _, y in found]),
            "o",
            markersize=5.5,
            label=series.label or "_",
            **dots,  # type: ignore[arg-type]
        )
        for values, height in zip(series.runs, heights, strict=False):
            if len(values) > 1:
                below = [height + 0.26] * len(values)
                axes.plot(values, below, "o", markersize=2.5, alpha=0.6, **dots)  # type: ignore[arg-type]
    low, high = axes.get_xlim()
    # a narrower axis would exaggerate small differences
    room = max(0.0, MIN_RANGE - (high - low)) / 2
    low, high = low - room, high + room
    # metrics lie in [0, 1]
    axes.set_xlim(*(low, high) if panel.differences else (max(low, -0.01), min(high, 1.01)))
    axes.xaxis.set_major_locator(MaxNLocator(5))


def _dots(
    series: Sequence[Series], place: int, heights: Sequence[int], apart: float
) -> Iterator[tuple[Value, float]]:
    """Yield each known value of a series with its height, below those of earlier series."""
    for index, height in enumerate(heights):
        there = [n for n, each in enumerate(series) if each.values[index].value is not None]
        if place in there:
            shift = (there.index(place) - (len(there) - 1) / 2) * apart
            yield series[place].values[index], height + shift


def _known(values: Sequence[Value]) -> bool:
    return any(value.value is not None for value in values)


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_LABEL else f"{name[: LONGEST_LABEL - 1]}…"
