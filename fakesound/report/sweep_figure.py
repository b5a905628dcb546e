"""The figure of a sweep: an attack left out a bar, or a setting tried a dot."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fakesound.report.attack_figure import PANELS, attack_figure
from fakesound.report.parts import AttackResult
from fakesound.report.settings import (
    Setting,
    attacks_of,
    fold_shown,
    leaves_one_out,
    settings_of,
)
from fakesound.report.style import FOLD_COLOURS, PALETTE, look, new_figure, panel
from fakesound.report.sweep import SweepRow
from fakesound.report.wording import number

WIDTH, GAP, RIGHT, LETTER = 10.4, 0.4, 0.15, 0.075  # inches
LONGEST_NAME = 46
ROW, TOP, BOTTOM = 0.36, 0.4, 0.35


def sweep_figure(rows: Sequence[SweepRow]) -> Figure | None:
    """Return clip AUC and segment F1 of the settings of ``rows``; None where neither is defined.

    For runs that leave one attack out each, bars; otherwise the median of a setting's runs with
    their range, the runs themselves below it. A single run has its 95 % interval instead.
    """
    fold = fold_shown(rows)
    if leaves_one_out(rows):
        attacks = [_attack(attack, fold) for attack in attacks_of(rows)]
        return attack_figure(sorted(attacks, key=_by_family))
    settings = settings_of(rows)
    keys = [key for key in PANELS if any(one.values(f"{fold}/{key}") for one in settings)]
    if not keys:
        return None
    names = 0.3 + LETTER * max(len(_shortened(one.label)) for one in settings)
    width = (WIDTH - names - RIGHT + GAP) / len(keys) - GAP
    with look():
        figure = new_figure(WIDTH, TOP + len(settings) * ROW + BOTTOM)
        for place, key in enumerate(keys):
            left = names + place * (width + GAP)
            axes = panel(figure, left, BOTTOM, width, len(settings) * ROW)
            axes.set_title(f"{PANELS[key]}, {fold} attacks", color=PALETTE.ink, pad=8)
            for row, setting in enumerate(settings):
                _dots(axes, row, setting, f"{fold}/{key}")
                if key == "segment_f1_20ms" and setting.all_fake_f1 is not None:
                    axes.plot(setting.all_fake_f1, row, "|", color=PALETTE.ink, markersize=14)
                if place == 0:
                    across = axes.get_yaxis_transform()
                    label = _shortened(setting.label)
                    axes.text(-names / width, row, label, transform=across, va="center")
            axes.set_ylim(len(settings) - 0.5, -0.5)
            axes.set_yticks([])
            axes.tick_params(length=0)
            axes.spines[["left", "bottom"]].set_visible(False)
            axes.grid(True, axis="x")
            axes.margins(x=0.08)
            axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
            axes.xaxis.set_major_formatter(lambda value, _: number(value))
    return figure


def _dots(axes: Axes, row: int, setting: Setting, key: str) -> None:
    colour = FOLD_COLOURS[key.split("/")[0]]
    middle, values = setting.median(key), setting.values(key)
    if middle.value is None:
        return
    if middle.interval is not None:
        axes.plot(middle.interval, [row, row], color=colour, linewidth=1.4)
    axes.plot(middle.value, row, "o", color=colour, markersize=7)
    if len(values) > 1:
        below = [row + 0.24] * len(values)
        axes.plot(values, below, "o", color=PALETTE.muted, markersize=3, alpha=0.8)


def _attack(attack: Setting, fold: str) -> AttackResult:
    block: dict[str, object] = {}
    ends = {}
    for key in PANELS:
        middle = attack.median(f"{fold}/{key}")
        block[key], ends[key] = middle.value, middle.interval
    return AttackResult(attack.label, fold, None, block | {"ci": ends}, attack.all_fake_f1)


def _by_family(attack: AttackResult) -> tuple[str, float, str]:
    return attack.family, -(attack.block["clip/auc"] or 0.0), attack.name


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
