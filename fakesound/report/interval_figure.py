"""Figures with their intervals, one row for each thing that is compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fakesound.report.parts import Value
from fakesound.report.style import PALETTE, look, new_figure, panel
from fakesound.report.wording import signed

WIDTH = 10.4  # inches
LETTER, GAP, RIGHT = 0.075, 0.4, 0.15
ROW, APART, TOP, BOTTOM, PLAIN = 0.27, 0.15, 0.42, 0.55, 0.3
LONGEST_NAME = 34
GUESSING = 0.5
TICKS = {0.0: (0, 0.25, 0.5, 0.75, 1), GUESSING: (0.5, 0.6, 0.7, 0.8, 0.9, 1)}


@dataclass(frozen=True)
class Series:
    """One value for each row.

    Attributes:
        label: what they are of.
        colour: of the dots.
        values: from the top row down.
        reference: to compare them with, a stroke through all rows; None for no stroke.
    """

    label: str
    colour: str
    values: Sequence[Value]
    reference: float | None = None


@dataclass(frozen=True)
class Panel:
    """Series over one axis.

    Attributes:
        title: what the values are.
        series: drawn below each other in each row.
        differences: whether they are, about zero; otherwise they are shares.
    """

    title: str
    series: Sequence[Series]
    differences: bool = False


def interval_figure(rows: Sequence[str], panels: Sequence[Panel]) -> Figure | None:
    """Return dots with 95 % intervals in one panel beside another; None without any value."""
    panels = [shown for shown in panels if any(_ends(series) for series in shown.series)]
    if not panels:
        return None
    several = max(len(shown.series) for shown in panels)
    step = ROW + APART * (several - 1)
    height = step * len(rows)
    names = 0.3 + LETTER * max(len(_short(name)) for name in rows)
    width = (WIDTH - names - RIGHT + GAP) / len(panels) - GAP
    bottom = BOTTOM if several > 1 else PLAIN
    # one axis for all panels, so that the eye may go from one to another
    lowest = min(end for shown in panels for series in shown.series for end in _ends(series))
    start = GUESSING if lowest >= GUESSING else 0.0
    with look():
        figure = new_figure(WIDTH, TOP + height + bottom)
        for place, shown in enumerate(panels):
            axes = panel(figure, names + place * (width + GAP), bottom, width, height)
            _scale(axes, shown, len(rows), start)
            for order, series in enumerate(shown.series):
                _dots(axes, series, (order - (len(shown.series) - 1) / 2) * APART / step)
            if place == 0:
                for row, name in enumerate(rows):
                    across = axes.get_yaxis_transform()
                    axes.text(-names / width, row, _short(name), transform=across, va="center")
                if several > 1:
                    _legend(axes, shown.series, names / width, width)
    return figure


def _scale(axes: Axes, shown: Panel, rows: int, start: float) -> None:
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_title(shown.title, color=PALETTE.ink, pad=8)
    axes.set_yticks([])
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.grid(True, axis="x")
    if shown.differences:
        ends = [0.0, *(end for series in shown.series for end in _ends(series))]
        room = 0.06 * (max(ends) - min(ends)) or 1.0
        axes.set_xlim(min(ends) - room, max(ends) + room)
        axes.axvline(0, color=PALETTE.ink, linewidth=0.8, zorder=1)
        axes.xaxis.set_major_formatter(lambda value, _: signed(value))
    else:
        axes.set_xlim(start, 1)
        axes.set_xticks(
            TICKS[start], [f"{tick:g}".removeprefix("0") or "0" for tick in TICKS[start]]
        )


def _dots(axes: Axes, series: Series, shift: float) -> None:
    if series.reference is not None:
        axes.axvline(series.reference, color=series.colour, linewidth=0.8, linestyle=(0, (2, 2)))
    for row, figure in enumerate(series.values):
        if figure.value is None:
            continue
        if figure.interval is not None:
            axes.plot(figure.interval, [row + shift] * 2, color=series.colour, linewidth=1.4)
        axes.plot(
            figure.value, row + shift, "o", color=series.colour, markersize=5.5, clip_on=False
        )


def _legend(axes: Axes, shown: Sequence[Series], names: float, width: float) -> None:
    left = 0.0
    for series in shown:
        axes.annotate(
            f"● {series.label}",
            (left / width - names, 0),
            xytext=(0, -30),
            xycoords="axes fraction",
            textcoords="offset points",
            color=series.colour,
            annotation_clip=False,
        )
        left += 0.4 + 0.08 * len(series.label)


def _ends(series: Series) -> list[float]:
    """Return every number of ``series`` that is drawn."""
    known = [figure for figure in series.values if figure.value is not None]
    return [end for figure in known for end in (figure.value or 0.0, *(figure.interval or ()))]


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
