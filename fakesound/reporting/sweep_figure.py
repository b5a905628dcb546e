"""The figure of a sweep: an attack left out a bar, or a setting tried a dot."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fakesound.reporting.attack_figure import PANELS, attack_figure
from fakesound.reporting.parts import AttackResult, Value
from fakesound.reporting.style import FOLD_COLOURS, PALETTE, look, new_figure, panel
from fakesound.reporting.sweep import SweepRow

WIDTH, NAMES, GAP, RIGHT = 10.4, 2.6, 0.4, 0.15  # inches
ROW, TOP, BOTTOM = 0.36, 0.4, 0.35


@dataclass(frozen=True)
class Group:
    """Runs that differ in their seed alone, or also in the attack held out.

    Attributes:
        label: what they have in common.
        rows: of these runs.
    """

    label: str
    rows: Sequence[SweepRow]

    def values(self, key: str) -> list[float]:
        """Return a figure of each run that has it."""
        found = [row.figures[key].value for row in self.rows]
        return [value for value in found if value is not None]

    def mean(self, key: str) -> Value:
        """Return the mean of a figure over the runs, and of the ends of its interval."""
        ends = [row.figures[key].interval for row in self.rows]
        known = [end for end in ends if end is not None]
        low, high = (_mean([end[side] for end in known]) for side in (0, 1))
        both = None if low is None or high is None else (low, high)
        return Value(_mean(self.values(key)), both)

    @property
    def all_fake_f1(self) -> float | None:
        """Mean segment F1 at 20 ms of calling everything fake."""
        return _mean([row.all_fake_f1 for row in self.rows if row.all_fake_f1 is not None])

    @property
    def objective(self) -> float | None:
        """Mean of what the runs are judged by."""
        return _mean([row.objective for row in self.rows if row.objective is not None])


def leaves_one_out(rows: Sequence[SweepRow]) -> bool:
    """Return whether the runs differ in the attack they hold out and, perhaps, in their seed."""
    return len({row.held_out for row in rows}) > 1 and not any(row.overrides for row in rows)


def groups_of(rows: Sequence[SweepRow]) -> list[Group]:
    """Return the runs by held-out attack if they leave one out each, else by what differs."""
    by_attack = leaves_one_out(rows)
    found: dict[str, list[SweepRow]] = {}
    for row in rows:
        found.setdefault(row.held_out if by_attack else setting(row), []).append(row)
    return [Group(label, members) for label, members in found.items()]


def setting(row: SweepRow) -> str:
    """Return in words what differs between this run and others, seed and held-out attack apart."""
    said = []
    for key, value in row.overrides.items():
        *groups, last = key.split(".")
        said.append(f"{groups[-1] if groups and last in ('name', 'kind') else last} {value}")
    return ", ".join(said) or "every run"


def fold_shown(rows: Sequence[SweepRow]) -> str:
    """Return "unseen", or "seen" where no run has figures of unseen attacks."""
    unseen = [row.figures[f"unseen/{key}"].value for row in rows for key in PANELS]
    return "seen" if all(value is None for value in unseen) else "unseen"


def sweep_figure(rows: Sequence[SweepRow]) -> Figure | None:
    """Return clip AUC and segment F1 of the groups of ``rows``; None where neither is defined.

    For runs that leave one attack out each, bars; otherwise dots with the runs beside their mean.
    """
    fold, groups = fold_shown(rows), groups_of(rows)
    if leaves_one_out(rows):
        return attack_figure(sorted((_attack(group, fold) for group in groups), key=_by_family))
    keys = [key for key in PANELS if any(group.values(f"{fold}/{key}") for group in groups)]
    if not keys:
        return None
    width = (WIDTH - NAMES - RIGHT + GAP) / len(keys) - GAP
    with look():
        figure = new_figure(WIDTH, TOP + len(groups) * ROW + BOTTOM)
        for place, key in enumerate(keys):
            left = NAMES + place * (width + GAP)
            axes = panel(figure, left, BOTTOM, width, len(groups) * ROW)
            axes.set_title(f"{PANELS[key]}, {fold} attacks", color=PALETTE.ink, pad=8)
            for row, group in enumerate(groups):
                _dots(axes, row, group, f"{fold}/{key}")
                if key == "segment_f1_20ms" and group.all_fake_f1 is not None:
                    axes.plot(group.all_fake_f1, row, "|", color=PALETTE.ink, markersize=14)
                if place == 0:
                    across = axes.get_yaxis_transform()
                    axes.text(-NAMES / width, row, group.label, transform=across, va="center")
            axes.set_ylim(len(groups) - 0.5, -0.5)
            axes.set_yticks([])
            axes.tick_params(length=0)
            axes.spines[["left", "bottom"]].set_visible(False)
            axes.grid(True, axis="x")
            axes.margins(x=0.08)
    return figure


def _dots(axes: Axes, row: int, group: Group, key: str) -> None:
    colour = FOLD_COLOURS[key.split("/")[0]]
    mean, values = group.mean(key), group.values(key)
    if mean.value is None:
        return
    if mean.interval is not None:
        axes.plot(mean.interval, [row, row], color=colour, linewidth=1.4)
    axes.plot(mean.value, row, "o", color=colour, markersize=7)
    if len(values) > 1:
        below = [row + 0.24] * len(values)
        axes.plot(values, below, "o", color=PALETTE.muted, markersize=3, alpha=0.8)


def _attack(group: Group, fold: str) -> AttackResult:
    block: dict[str, object] = {}
    ends = {}
    for key in PANELS:
        mean = group.mean(f"{fold}/{key}")
        block[key], ends[key] = mean.value, mean.interval
    return AttackResult(group.label, fold, None, block | {"ci": ends}, group.all_fake_f1)


def _by_family(attack: AttackResult) -> tuple[str, float, str]:
    return attack.family, -(attack.block["clip/auc"] or 0.0), attack.name


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
