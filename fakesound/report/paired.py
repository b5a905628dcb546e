"""One system against another on the same clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure as Drawing

from fakesound.report.glossary import ALL_FIGURES, Figure
from fakesound.report.interval_figure import Panel, Series, interval_figure
from fakesound.report.parts import TITLES, Value
from fakesound.report.style import FOLD_COLOURS, PALETTE
from fakesound.report.wording import in_sentence, listed

CHANCE = 0.05
ORDER = ("unseen", "seen", "all")
WHERE = {"unseen": "On unseen attacks", "seen": "On seen attacks", "all": "On all test clips"}
# what decides which system is better; the other figures say much the same again
JUDGED = ("clip/auc", "clip/eer", "segment_f1_20ms", "frame/auc", "range_eer")
# figures of one size, that fit one axis
DRAWN = (*JUDGED[:2], "clip/balanced_accuracy", *JUDGED[2:], "event_f1")


@dataclass(frozen=True)
class Difference:
    """How far system a exceeds system b in a figure.

    Attributes:
        figure: what is compared.
        a: its value of the first system.
        b: its value of the second.
        difference: the first less the second.
        p: two-sided, of no difference.
    """

    figure: Figure
    a: float | None
    b: float | None
    difference: Value
    p: float

    @property
    def better(self) -> int | None:
        """Which system is better beyond chance, 0 or 1; None where it cannot be told."""
        value = self.difference.value
        if self.p >= CHANCE or not value:
            return None
        return int((value < 0) != self.figure.lower_is_better)

    @property
    def turned(self) -> Value:
        """The difference, above zero where the first system is better."""
        value, ends = self.difference.value, self.difference.interval
        if not self.figure.lower_is_better or value is None:
            return self.difference
        return Value(-value, None if ends is None else (-ends[1], -ends[0]))


@dataclass(frozen=True)
class PairedPart:
    """Two systems on a part of the test.

    Attributes:
        name: of the part.
        systems: the names of the two.
        differences: in the figures that both have.
    """

    name: str
    systems: tuple[str, str]
    differences: Sequence[Difference]

    @property
    def title(self) -> str:
        """Its heading."""
        return TITLES[self.name]

    @property
    def sentence(self) -> str:
        """Which system is better, in words."""
        judged = [each for each in self.differences if each.figure.key in JUDGED]
        said = []
        for number, system in enumerate(self.systems):
            won = [in_sentence(each.figure.title) for each in judged if each.better == number]
            if won:
                said.append(f"{system} is better in {listed(won)}")
        open_ = [in_sentence(each.figure.title) for each in judged if each.better is None]
        if not said:
            of = f": no difference in {listed(open_)} is beyond chance" if open_ else ""
            return f"{WHERE[self.name]} it cannot be told which is better{of}."
        if open_:
            said.append(f"in {listed(open_)} it cannot be told")
        return f"{WHERE[self.name]} {'; '.join(said)}."


def paired_parts(paired: Mapping[str, Any]) -> list[PairedPart]:
    """Return what ``metrics.json`` holds of two systems, the unseen attacks first.

    All of the test is left out where it has folds.
    """
    first, second = paired["names"]
    found = []
    for name in ORDER:
        differences = [
            Difference(
                figure,
                entry["a"],
                entry["b"],
                Value(entry["difference"], (entry["low"], entry["high"])),
                entry["p"],
            )
            for figure in ALL_FIGURES
            if (entry := (paired["parts"].get(name) or {}).get(figure.key)) is not None
        ]
        if differences:
            found.append(PairedPart(name, (first, second), differences))
    return [part for part in found if part.name != "all"] or found


def paired_figure(parts: Sequence[PairedPart]) -> Drawing | None:
    """Return the differences with their intervals about zero; to the right the first is better.

    None without a difference to show.
    """
    if not parts:
        return None
    by_key = [{each.figure.key: each for each in part.differences} for part in parts]
    rows = [
        figure
        for key in DRAWN
        for figure in ALL_FIGURES
        if figure.key == key and any(key in differences for differences in by_key)
    ]
    series = [
        Series(
            part.title.lower(),
            FOLD_COLOURS.get(part.name, PALETTE.ink),
            [
                differences[figure.key].turned if figure.key in differences else Value(None)
                for figure in rows
            ],
        )
        for part, differences in zip(parts, by_key, strict=True)
    ]
    return interval_figure(
        [figure.title for figure in rows],
        [Panel(f"to the right {parts[0].systems[0]} is better", series, differences=True)],
    )
