"""All runs of a sweep as lines through what was tried and what came out (parallel coordinates)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fakesound.report.settings import fold_shown, short, shown
from fakesound.report.style import PALETTE, blend
from fakesound.report.sweep import SweepRow
from fakesound.report.wording import number

WIDTH, HEIGHT, SIDE, TOP, BOTTOM = 1000, 300, 60, 44, 24
FEWEST_RUNS = 3
# a key with more values than that shows its numbers at the ends alone
MOST_TICKS = 9


@dataclass(frozen=True)
class Axis:
    """One upright axis.

    Attributes:
        title: what runs through it.
        x: its place.
        ticks: height and text of each.
    """

    title: str
    x: float
    ticks: Sequence[tuple[float, str]]


@dataclass(frozen=True)
class Line:
    """A run.

    Attributes:
        name: of the run.
        path: of an SVG path.
        colour: the stronger, the better on the last axis.
        said: its values in words.
    """

    name: str
    path: str
    colour: str
    said: str


@dataclass(frozen=True)
class Parallel:
    """The drawing.

    Attributes:
        axes: from left to right: what was tried, the validation objective, the test.
        lines: of the runs, the best last.
        top, bottom: ends of the axes.
        width, height: of the whole.
    """

    axes: Sequence[Axis]
    lines: Sequence[Line]
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM
    width: float = WIDTH
    height: float = HEIGHT


def parallel(rows: Sequence[SweepRow]) -> Parallel | None:
    """Return the lines of ``rows``; None where nothing was varied or the runs are too few."""
    if len(rows) < FEWEST_RUNS or not any(row.overrides for row in rows):
        return None
    fold = fold_shown(rows)
    columns: dict[str, list[object]] = {
        short(key): [row.overrides[key] for row in rows] for key in rows[0].overrides
    }
    for title, several in (
        ("held out", [row.held_out for row in rows]),
        ("seed", [row.seed for row in rows]),
    ):
        if len(set(several)) > 1:
            columns[title] = list(several)
    columns["objective"] = [row.objective for row in rows]
    for key, title in (("segment_f1_20ms", "segment F1"), ("clip/auc", "clip AUC")):
        columns[f"{fold} {title}"] = [row.figures[f"{fold}/{key}"].value for row in rows]
    columns = {
        title: values for title, values in columns.items() if set(map(str, values)) != {"None"}
    }
    step = (WIDTH - 2 * SIDE) / max(1, len(columns) - 1)
    axes, places = [], []
    for number_, (title, values) in enumerate(columns.items()):
        heights, ticks = _scale(values)
        axes.append(Axis(title, SIDE + number_ * step, ticks))
        places.append(heights)
    lines = [_line(row, i, axes, places, columns) for i, row in enumerate(rows)]
    last = places[-1]
    # the lowest on the page is the last to be drawn: best on top
    order = sorted(range(len(rows)), key=lambda i: -(HEIGHT if last[i] is None else last[i] or 0))
    return Parallel(axes, [lines[i] for i in order])


def _scale(values: Sequence[object]) -> tuple[list[float | None], list[tuple[float, str]]]:
    """Return the height of each of ``values`` on an axis, and the axis' ticks."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) == len([v for v in values if v is not None]) and len(set(numbers)) > 1:
        low, high = min(numbers), max(numbers)
        places = [None if v is None else _height((v - low) / (high - low)) for v in values]  # type: ignore[operator]
        marked = sorted(set(numbers)) if len(set(numbers)) <= MOST_TICKS else [low, high]
        if isinstance(low, float):
            marked = [low, high]
        ticks = [(_height((mark - low) / (high - low)), _tick(mark)) for mark in marked]
        return places, ticks
    names = list(dict.fromkeys(shown(value) for value in values))
    spread = max(1, len(names) - 1)
    heights = {
        name: _height(1 - i / spread if len(names) > 1 else 0.5) for i, name in enumerate(names)
    }
    return [heights[shown(value)] for value in values], [(y, n) for n, y in heights.items()]


def _height(share: float) -> float:
    return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _tick(value: float) -> str:
    return f"{value:.3g}".replace("0.", ".", 1) if 0 < abs(value) < 1 else f"{value:.4g}"


def _line(
    row: SweepRow,
    index: int,
    axes: Sequence[Axis],
    places: Sequence[Sequence[float | None]],
    columns: Mapping[str, Sequence[object]],
) -> Line:
    points = [
        f"{axis.x:.1f} {heights[index]}"
        for axis, heights in zip(axes, places, strict=True)
        if heights[index] is not None
    ]
    said = ", ".join(
        f"{title} {number(v, 3) if isinstance(v, float) and 0 <= v <= 1 else shown(v)}"
        for title, v in ((title, values[index]) for title, values in columns.items())
    )
    top = places[-1][index]
    share = 0.0 if top is None else (HEIGHT - BOTTOM - top) / (HEIGHT - TOP - BOTTOM)
    return Line(row.name, "M" + " L".join(points), blend(PALETTE.line, PALETTE.unseen, share), said)
