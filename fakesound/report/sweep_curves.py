"""How scores change with the balance of the losses, with size and with speed."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from fakesound.report.attack_figure import PANELS
from fakesound.report.settings import Setting, fold_shown, label_of
from fakesound.report.style import FOLD_COLOURS, PALETTE, look, new_figure, panel
from fakesound.report.sweep import SweepRow
from fakesound.report.wording import number

WIDTH, LEFT, GAP, RIGHT = 10.4, 0.5, 0.75, 0.15  # inches
HEIGHT, TOP, BOTTOM = 2.7, 0.4, 0.55
COLOURS = (PALETTE.unseen, PALETTE.seen, PALETTE.clip, PALETTE.frame, PALETTE.muted)
FEWEST_BALANCES, MOST_LABELS = 3, 14
LOG_FROM = 4  # times the smallest
LETTER, LINE = 4.6, 9.5  # points


def balance_figure(rows: Sequence[SweepRow]) -> Figure | None:
    """Return clip AUC and segment F1 against the share of the frame loss in fixed weights.

    The line joins the medians of the runs, which are dots; level lines are the medians of weights
    that are learned. None with fewer than three balances.
    """
    fixed = [(share, row) for row in rows if (share := _frame_share(row)) is not None]
    if len({share for share, _ in fixed}) < FEWEST_BALANCES:
        return None
    learned: dict[str, list[SweepRow]] = {}
    for row in rows:
        if row.config.get("loss.weighting") not in (None, "fixed"):
            learned.setdefault(str(row.config["loss.weighting"]), []).append(row)
    fold = fold_shown(rows)
    width = (WIDTH - LEFT - RIGHT + GAP) / len(PANELS) - GAP
    with look():
        figure = new_figure(WIDTH, TOP + HEIGHT + BOTTOM)
        for place, (key, title) in enumerate(PANELS.items()):
            axes = panel(figure, LEFT + place * (width + GAP), BOTTOM, width, HEIGHT)
            axes.set_title(f"{title}, {fold} attacks", color=PALETTE.ink, pad=8)
            points = [(share, row.figures[f"{fold}/{key}"].value) for share, row in fixed]
            _line(axes, [(share, value) for share, value in points if value is not None])
            for colour, (name, members) in zip(COLOURS[1:], learned.items(), strict=False):
                _level(axes, name, members, f"{fold}/{key}", colour)
            if key == "segment_f1_20ms":
                _floor(axes, [row for _, row in fixed])
            axes.set_xlabel("share of the frame loss")
            axes.set_xlim(-0.03, 1.03)
            axes.grid(True, axis="y")
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
            if learned and place == 0:
                axes.legend(loc="best", handlelength=1.4)
    return figure


def size_figure(settings: Sequence[Setting], fold: str) -> Figure | None:
    """Return clip AUC and segment F1 of each setting against its size and its speed.

    None where all are of one size, or sizes are not known.
    """
    axes_of: Mapping[str, Callable[[SweepRow], float | None]] = {
        "parameters": lambda row: row.parameters,
        "seconds a training step": lambda row: row.step_seconds,
    }
    sizes = {row.parameters for setting in settings for row in setting.rows}
    if len(sizes - {None}) < 2:
        return None
    width = (WIDTH - LEFT - RIGHT + GAP) / len(axes_of) - GAP
    row_height = TOP + HEIGHT + BOTTOM
    with look():
        figure = new_figure(WIDTH, row_height * len(PANELS))
        for down, (key, title) in enumerate(PANELS.items()):
            for across, (what, of) in enumerate(axes_of.items()):
                bottom = BOTTOM + (len(PANELS) - 1 - down) * row_height
                axes = panel(figure, LEFT + across * (width + GAP), bottom, width, HEIGHT)
                axes.set_title(f"{title}, {fold} attacks", color=PALETTE.ink, pad=8)
                axes.set_xlabel(what)
                _scatter(axes, settings, of, f"{fold}/{key}")
    return figure


def _frame_share(row: SweepRow) -> float | None:
    share = row.config.get("loss.frame_share")
    if row.config.get("loss.weighting") != "fixed" or share is None:
        return None
    if not (row.config.get("heads.clip", True) and row.config.get("heads.frame", True)):
        return None
    return round(share, 4)


def _line(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    shares = sorted({share for share, _ in points})
    middle = [median(value for at, value in points if at == share) for share in shares]
    axes.plot(shares, middle, color=PALETTE.unseen, label="fixed")
    axes.plot(*zip(*points, strict=True), "o", color=PALETTE.unseen, markersize=4, alpha=0.6)


def _level(axes: Axes, name: str, rows: Sequence[SweepRow], key: str, colour: str) -> None:
    values = [row.figures[key].value for row in rows]
    known = [value for value in values if value is not None]
    if known:
        axes.axhline(median(known), color=colour, linewidth=1.2, linestyle=(0, (4, 2)), label=name)


def _floor(axes: Axes, rows: Sequence[SweepRow]) -> None:
    known = [row.all_fake_f1 for row in rows if row.all_fake_f1 is not None]
    if known:
        axes.axhline(median(known), color=PALETTE.ink, linewidth=0.8, linestyle=(0, (1, 2)))
        axes.annotate(
            "calling everything fake",
            (0, median(known)),
            xytext=(0, 3),
            textcoords="offset points",
            fontsize=8,
            color=PALETTE.muted,
        )


def _scatter(
    axes: Axes, settings: Sequence[Setting], of: Callable[[SweepRow], float | None], key: str
) -> None:
    colour = FOLD_COLOURS[key.split("/")[0]]
    points: list[tuple[float, float, str]] = []
    for setting in settings:
        across, up = setting.median_of(of), setting.median(key)
        if across is None or up.value is None:
            continue
        if up.interval is not None:
            axes.plot([across, across], up.interval, color=colour, linewidth=1.2)
        axes.plot(across, up.value, "o", color=colour, markersize=6)
        points.append((across, up.value, label_of(setting.rows[0])))
    if not points:
        return
    amounts = [across for across, _, _ in points]
    axes.set_xscale("log" if max(amounts) > LOG_FROM * min(amounts) else "linear")
    axes.margins(x=0.25, y=0.12)
    axes.grid(True, axis="y")
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    if axes.get_xscale() == "log":
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _amount(value)))
    if len(settings) <= MOST_LABELS:
        _labels(axes, points)


def _labels(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write the label of each point beside it, or a line further up where another is in the way."""
    axes.autoscale_view()
    scale = 72 / axes.figure.dpi
    places = [axes.transData.transform(point[:2]) * scale for point in points]
    # the dots; start, end and bottom of each
    taken = [(x - 4, x + 4, y - 4) for x, y in places]
    lowest_first = sorted(zip(points, places, strict=True), key=lambda one: one[0][1])
    for (across, up, label), (x, y) in lowest_first:
        left, width, low = x + 6, LETTER * len(label), y + 3
        while any(
            abs(low - other) < LINE and left < end and start < left + width
            for start, end, other in taken
        ):
            low += LINE / 4
        taken.append((left, left + width, low))
        axes.annotate(
            label,
            (across, up),
            xytext=(6, low - y),
            textcoords="offset points",
            fontsize=8,
            color=PALETTE.ink,
        )


def _amount(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}\N{NO-BREAK SPACE}{letter}"
    return f"{value:.2g}"
