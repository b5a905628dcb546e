"""How figures change when the audio goes through something first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure as Drawing

from fakesound.report.glossary import ALL_FIGURES, Figure
from fakesound.report.interval_figure import Panel, Series, interval_figure
from fakesound.report.parts import TITLES, known, value_of
from fakesound.report.style import FOLD_COLOURS, PALETTE
from fakesound.report.wording import number

ORDER = ("unseen", "seen", "all")
KEYS = ("clip/auc", "segment_f1_20ms")
PANELS = {"clip/auc": "clip AUC", "segment_f1_20ms": "segment F1, 20 ms"}


@dataclass(frozen=True)
class PartUnderConditions:
    """A part of the test under each condition.

    Attributes:
        name: of the part.
        titles: the conditions in words, clean audio first.
        blocks: metrics block under each.
    """

    name: str
    titles: Sequence[str]
    blocks: Sequence[Mapping[str, Any]]

    @property
    def title(self) -> str:
        """Its heading."""
        return TITLES[self.name]

    @property
    def figures(self) -> list[Figure]:
        """The figures that are shown of it."""
        return [figure for figure in ALL_FIGURES if figure.key in KEYS and self.has(figure.key)]

    @property
    def sentence(self) -> str | None:
        """What does the most harm, in words; None where nothing can be compared."""
        said = []
        for key, title in PANELS.items():
            changes = [(self.change(row, key), row) for row in range(1, len(self.titles))]
            known_changes = [(change, row) for change, row in changes if change is not None]
            if known_changes:
                _, worst = min(known_changes)
                said.append(
                    f"{title.partition(',')[0]} falls furthest under “{self.titles[worst]}”, from "
                    f"{number(self.blocks[0][key])} to {number(self.blocks[worst][key])}"
                    if min(known_changes)[0] < 0
                    else f"{title.partition(',')[0]} falls under none"
                )
        return f"{'; '.join(said)}." if said else None

    def has(self, key: str) -> bool:
        """Return whether the figure ``key`` is known under any condition."""
        return known(self.blocks, key)

    def change(self, row: int, key: str) -> float | None:
        """Return a figure under a condition less that of clean audio."""
        value, clean = self.blocks[row].get(key), self.blocks[0].get(key)
        return None if value is None or clean is None else float(value) - float(clean)


def parts_under_conditions(robustness: Mapping[str, Any]) -> list[PartUnderConditions]:
    """Return the folds of the test under each condition, or all of it where it has no folds."""
    conditions = robustness["conditions"]
    if len(conditions) < 2:
        return []
    parts = [
        PartUnderConditions(
            name,
            [condition["title"] for condition in conditions],
            [condition.get(name) or {} for condition in conditions],
        )
        for name in ORDER
        if conditions[0].get(name)
    ]
    parts = [part for part in parts if part.figures]
    return [part for part in parts if part.name != "all"] or parts


def robustness_figure(parts: Sequence[PartUnderConditions]) -> Drawing | None:
    """Return clip AUC and segment F1 under each condition, dashed lines where clean audio lies."""
    panels = [
        Panel(
            title,
            [
                Series(
                    part.title.lower(),
                    FOLD_COLOURS.get(part.name, PALETTE.ink),
                    [value_of(block, key) for block in part.blocks],
                    part.blocks[0].get(key),
                )
                for part in parts
            ],
        )
        for key, title in PANELS.items()
    ]
    return interval_figure(parts[0].titles, panels) if parts else None
