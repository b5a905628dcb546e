"""Draw the figures of a sweep: settings, loss weights, size and speed, attacks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from fakesound.report.glossary import MAIN_KEYS, METRICS, TWO_KEYS
from fakesound.report.rows_figure import Panel, Row, Series, rows_figure
from fakesound.report.style import PALETTE, PART_COLOURS, new_figure, style_context
from fakesound.report.sweep import Run, Setting, Sweep

FEWEST_SHARES, MOST_COLUMNS, MOST_POINTS = 3, 12, 20
LOG_FROM = 4  # ratio of largest to smallest value from which on the axis is logarithmic
CHANCE = 0.5
AROUND_CHANCE = LinearSegmentedColormap.from_list(
    "chance", [PALETTE.unseen, PALETTE.paper, PALETTE.seen]
)
FROM_ZERO = LinearSegmentedColormap.from_list("zero", [PALETTE.paper, PALETTE.seen])


@dataclass(frozen=True, eq=False)
class AttackMatrix:
    """Metric of each attack and setting.

    Attributes:
        key: key of the metric.
        attacks: names of the rows.
        settings: labels of the columns.
        values: medians over the runs; NaN where undefined.
    """

    key: str
    attacks: Sequence[str]
    settings: Sequence[str]
    values: Float[np.ndarray, "attack setting"]


def settings_figure(sweep: Sweep) -> Figure | None:
    """Draw the main metrics of each setting, or of each held-out attack if nothing else differs.

    Several runs are drawn as median, range and small dots; a single run with its 95 % interval.
    """
    by_attack = sweep.several_attacks and not sweep.keys
    settings, labels = sweep.settings, sweep.figure_labels
    if by_attack:
        settings = sorted(sweep.attacks, key=lambda one: one.label)
    panels = []
    for key in MAIN_KEYS:
        path = f"{sweep.part}/{key}"
        baseline: list[float | None] = [CHANCE if "auc" in key else None] * len(settings)
        if key == "segment_f1_20ms":
            baseline = [one.median_of(lambda run: run.all_fake_f1) for one in settings]
        series = Series(
            values=[one.median(path) for one in settings],
            colour=PART_COLOURS[sweep.part],
            runs=[one.values(path) for one in settings],
        )
        panels.append(Panel(f"{METRICS[key].title}, {sweep.part} attacks", [series], baseline))
    rows = [
        Row(
            one.label.partition("/")[2] or one.label if by_attack else labels[one.label],
            one.label.partition("/")[0] if by_attack else None,
        )
        for one in settings
    ]
    return rows_figure(rows, panels)


def balance_figure(sweep: Sweep) -> Figure | None:
    """Draw the main metrics against the weight of the frame loss.

    Dots are runs, the line joins their medians, and dashed lines are medians of learned weights.
    None with fewer than three weights.
    """
    fixed = [(share, run) for run in sweep.runs if (share := frame_share(run)) is not None]
    if len({share for share, _ in fixed}) < FEWEST_SHARES:
        return None
    learned: dict[str, list[Run]] = {}
    for run in sweep.runs:
        if run.config.get("loss.weighting") not in (None, "fixed"):
            learned.setdefault(str(run.config["loss.weighting"]), []).append(run)
    with style_context():
        figure = new_figure(3.4)
        for axes, key in zip(figure.subplots(1, len(MAIN_KEYS)), MAIN_KEYS, strict=True):
            path = f"{sweep.part}/{key}"
            axes.set_title(f"{METRICS[key].title}, {sweep.part} attacks", color=PALETTE.ink)
            points = [(s, v) for s, run in fixed if (v := run.values[path].value) is not None]
            shares = sorted({share for share, _ in points})
            middle = [median(value for at, value in points if at == share) for share in shares]
            axes.plot(shares, middle, color=PALETTE.unseen, label="fixed")
            axes.plot(
                [s for s, _ in points], [v for _, v in points], "o", color=PALETTE.unseen, ms=4
            )
            colours = (PALETTE.seen, PALETTE.clip, PALETTE.frame, PALETTE.muted)
            for colour, (name, runs) in zip(colours, learned.items(), strict=False):
                level = Setting(name, runs).values(path)
                if level:
                    axes.axhline(median(level), color=colour, linestyle=(0, (4, 2)), label=name)
            axes.set_xlabel("share of the frame loss")
            axes.grid(True, axis="y")
        if learned:
            figure.axes[0].legend(loc="best")
    return figure


def frame_share(run: Run) -> float | None:
    """Return the weight of the frame loss; None unless weights are fixed."""
    config = run.config
    if config.get("loss.weighting") != "fixed":
        return None
    if not (config.get("heads.clip", True) and config.get("heads.frame", True)):
        return None
    share = config.get("loss.frame_share")
    return None if share is None else float(share)


def size_figure(sweep: Sweep) -> Figure | None:
    """Draw clip AUC and segment F1 of each setting against size and speed.

    None if all sizes are equal or unknown.
    """
    settings = sweep.settings
    if len({run.parameters for run in sweep.runs} - {None}) < 2 or len(settings) > MOST_POINTS:
        return None
    measures: Mapping[str, Callable[[Run], float | None]] = {
        "parameters": lambda run: run.parameters,
        "seconds per training step": lambda run: run.step_seconds,
    }
    with style_context():
        figure = new_figure(5.4)
        grid = figure.subplots(len(TWO_KEYS), len(measures), sharey="row", squeeze=False)
        for row, key in zip(grid, TWO_KEYS, strict=True):
            row[0].set_title(f"{METRICS[key].title}, {sweep.part} attacks", color=PALETTE.ink)
            for axes, (title, of) in zip(row, measures.items(), strict=True):
                axes.set_xlabel(title)
                _scatter(axes, settings, sweep.figure_labels, of, f"{sweep.part}/{key}")
        handles, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right upper")
    return figure


def attack_matrices(sweep: Sweep) -> list[AttackMatrix]:
    """Return the main metrics by attack and setting; empty with too many settings.

    If runs hold out different attacks, each value is the median of the runs that held the attack
    out; otherwise each attack of the test has a row.
    """
    settings = sweep.settings
    if not settings or len(settings) > MOST_COLUMNS or (sweep.several_attacks and not sweep.keys):
        return []
    names = sorted({name for run in sweep.runs for name in run.attacks})
    if sweep.several_attacks:
        names = sorted({run.held_out for run in sweep.runs if run.held_out})
    found = []
    for key in MAIN_KEYS:
        rows = []
        for name in names:
            of = _of_attack(name, key, sweep.several_attacks)
            values = [setting.median_of(of) for setting in settings]
            rows.append([np.nan if value is None else value for value in values])
        matrix = np.array(rows, dtype=np.float64).reshape(len(names), len(settings))
        if np.isfinite(matrix).any():
            found.append(AttackMatrix(key, names, list(sweep.figure_labels.values()), matrix))
    return found


def matrix_figure(matrices: Sequence[AttackMatrix]) -> Figure | None:
    """Draw ``matrices`` side by side as heat maps with the values in the cells."""
    if not matrices:
        return None
    rows, columns = matrices[0].values.shape
    longest = max(len(label) for label in matrices[0].settings)
    with style_context():
        figure = new_figure(0.9 + 0.25 * rows + 0.05 * min(longest, 40))
        for axes, matrix in zip(
            figure.subplots(1, len(matrices), sharey=True, squeeze=False)[0], matrices, strict=True
        ):
            auc = "auc" in matrix.key
            axes.imshow(
                matrix.values,
                cmap=AROUND_CHANCE if auc else FROM_ZERO,
                vmin=0,
                vmax=1,
                aspect="auto",
            )
            axes.set_title(METRICS[matrix.key].title, color=PALETTE.ink)
            axes.set_xticks(range(columns), matrix.settings, rotation=90)
            axes.set_yticks(range(rows), matrix.attacks)
            axes.tick_params(length=0)
            axes.spines[:].set_visible(False)
            for row, column in np.argwhere(np.isfinite(matrix.values)):
                value = matrix.values[row, column]
                dark = abs(value - CHANCE) > 0.35 if auc else value > 0.7
                colour = PALETTE.paper if dark else PALETTE.ink
                axes.text(
                    *(column, row, f"{value:.2f}"),
                    **{"ha": "center", "va": "center", "color": colour, "fontsize": 8},
                )
    return figure


def _of_attack(name: str, key: str, held_out: bool) -> Callable[[Run], float | None]:
    if held_out:
        return lambda run: run.values[f"unseen/{key}"].value if run.held_out == name else None
    return lambda run: (run.attacks.get(name) or {}).get(key)


def _scatter(
    axes: Axes,
    settings: Sequence[Setting],
    labels: Mapping[str, str],
    of: Callable[[Run], float | None],
    key: str,
) -> None:
    amounts = []
    for number, setting in enumerate(settings):
        across, up = setting.median_of(of), setting.median(key)
        if across is None or up.value is None:
            continue
        amounts.append(across)
        colour, marker = f"C{number % 10}", "os^Dv"[number // 10]
        if up.interval is not None:
            axes.vlines(across, *up.interval, color=colour, linewidth=1.2)
        axes.plot(across, up.value, marker, color=colour, markersize=6, label=labels[setting.label])
    axes.grid(True, axis="y")
    axes.margins(x=0.1, y=0.12)
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    if amounts and max(amounts) > LOG_FROM * min(amounts) > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda value, _: _amount(value))


def _amount(value: float) -> str:
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}\N{NO-BREAK SPACE}{letter}"
    return f"{value:.3g}"
