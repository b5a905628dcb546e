"""The figure of how each attack fared."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fakesound.report.parts import AttackResult, interval, known
from fakesound.report.style import PALETTE, look, new_figure, panel, tint

WIDTH = 10.4  # inches
NAMES, CLIPS, GAP, RIGHT = 1.85, 0.55, 0.4, 0.12
ROW, TOP, BOTTOM = 0.245, 0.42, 0.55
PANELS = {"clip/auc": "clip AUC", "segment_f1_20ms": "segment F1, 20 ms"}
GUESSING = 0.5
FOLDS = {
    "unseen": (PALETTE.unseen, "unseen"),
    "seen": (PALETTE.seen, "seen"),
    None: (PALETTE.muted, "neither"),
}


def attack_figure(attacks: Sequence[AttackResult]) -> Figure | None:
    """Return clip AUC and segment F1 of each attack as bars with 95 % intervals, by family.

    Lines across the bars show what guessing (AUC) and calling everything fake (F1) give. None
    where neither figure is defined for any attack.
    """
    keys = [key for key in PANELS if known([attack.block for attack in attacks], key)]
    if not keys:
        return None
    rows, headings, row = {}, {}, 0
    for family, members in groupby(attacks, key=lambda attack: attack.family):
        headings[family] = row
        row += 1
        for member in members:
            rows[member.name] = row
            row += 1
    folds = {attack.fold for attack in attacks}
    # held-out attacks stand out where there are others
    accent = "unseen" if len(folds) > 1 else None
    height = row * ROW
    width = (WIDTH - NAMES - CLIPS - RIGHT + GAP) / len(keys) - GAP
    with look():
        figure = new_figure(WIDTH, TOP + height + BOTTOM)
        for place, key in enumerate(keys):
            left = NAMES + CLIPS + place * (width + GAP)
            axes = panel(figure, left, BOTTOM, width, height)
            _scale(axes, row, PANELS[key])
            for attack in attacks:
                _bar(axes, rows[attack.name], attack, key, accent)
            if place == 0:
                _names(axes, attacks, rows, headings, width, accent)
                _legend(axes, folds, width)
    return figure


def _scale(axes: Axes, rows: int, title: str) -> None:
    axes.set(xlim=(0, 1), ylim=(rows - 0.5, -0.5))
    axes.set_title(title, color=PALETTE.ink, pad=8)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", ".25", ".5", ".75", "1"])
    axes.set_yticks([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(True, axis="x")


def _bar(axes: Axes, row: int, attack: AttackResult, key: str, accent: str | None) -> None:
    value = attack.block.get(key)
    if value is None:
        return
    colour, _ = FOLDS[attack.fold]
    shade = colour if accent is not None and attack.fold == accent else tint(colour)
    axes.barh(row, value, height=0.62, color=shade)
    ends = interval(attack.block, key)
    if ends is not None:
        axes.plot(ends, [row, row], color=PALETTE.ink, linewidth=1, solid_capstyle="butt")
    floor = GUESSING if key == "clip/auc" else attack.all_fake_f1
    if floor is not None:
        axes.plot([floor, floor], [row - 0.45, row + 0.45], color=PALETTE.paper, linewidth=3)
        axes.plot([floor, floor], [row - 0.45, row + 0.45], color=PALETTE.ink, linewidth=1.2)


def _names(
    axes: Axes,
    attacks: Sequence[AttackResult],
    rows: Mapping[str, int],
    headings: Mapping[str, int],
    width: float,
    accent: str | None,
) -> None:
    def write(inches: float, row: int, text: str, **kind: Any) -> None:  # noqa: ANN401
        axes.text(inches / width, row, text, transform=axes.get_yaxis_transform(), **kind)

    start, clips = -NAMES - CLIPS, -0.15
    if any(attack.fakes is not None for attack in attacks):
        write(clips, -1, "fakes", ha="right", va="center", color=PALETTE.muted, fontsize=8.5)
    for family, row in headings.items():
        write(start, row, family, va="center", color=PALETTE.muted)
    for attack in attacks:
        stands_out = accent is not None and attack.fold == accent
        write(
            start + 0.12,
            rows[attack.name],
            _short(attack.name.partition("/")[2] or attack.name),
            va="center",
            fontweight="bold" if stands_out else "normal",
            color=PALETTE.unseen if stands_out else PALETTE.ink,
        )
        write(
            clips,
            rows[attack.name],
            "" if attack.fakes is None else str(attack.fakes),
            ha="right",
            va="center",
            color=PALETTE.muted,
            fontsize=8.5,
        )


def _short(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:25]}…"


def _legend(axes: Axes, folds: set[str | None], width: float) -> None:
    if len(folds) < 2:
        return
    left = 0.0
    for fold, (colour, label) in FOLDS.items():
        if fold in folds:
            axes.annotate(
                f"■ {label}",
                ((left - NAMES - CLIPS) / width, 0),
                xytext=(0, -30),
                xycoords="axes fraction",
                textcoords="offset points",
                color=colour,
                annotation_clip=False,
            )
            left += 0.45 + 0.07 * len(label)
