"""Runs of one setting: alike but for the seed, and for the attack or fold they are tested on."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from fakesound.config import TASKS
from fakesound.errors import InputError
from fakesound.report.parts import Value
from fakesound.report.sweep import SweepRow

JUDGED = ("clip/auc", "segment_f1_20ms")
# values of keys that need no name before them
PLAIN = ("name", "kind", "weighting")


@dataclass(frozen=True)
class Setting:
    """Runs of one setting, or of one attack where the runs differ in that alone.

    Attributes:
        label: what they have in common, in words.
        rows: of these runs.
    """

    label: str
    rows: Sequence[SweepRow]

    @property
    def overrides(self) -> Mapping[str, Any]:
        """Its values of the keys that differ."""
        return self.rows[0].overrides

    def values(self, key: str) -> list[float]:
        """Return a figure of each run that has it."""
        found = [row.figures[key].value for row in self.rows]
        return [value for value in found if value is not None]

    def median(self, key: str) -> Value:
        """Return the median of a figure over the runs, with their range.

        Of a single run, its figure with its 95 % interval.
        """
        values = self.values(key)
        if len(self.rows) == 1:
            return self.rows[0].figures[key]
        return Value(median(values), (min(values), max(values))) if values else Value(None)

    def median_of(self, what: Callable[[SweepRow], float | None]) -> float | None:
        """Return the median of ``what`` over the runs that have it."""
        known = [value for row in self.rows if (value := what(row)) is not None]
        return median(known) if known else None

    @property
    def all_fake_f1(self) -> float | None:
        """Segment F1 at 20 ms of calling everything fake."""
        return self.median_of(lambda row: row.all_fake_f1)

    @property
    def objective(self) -> float | None:
        """Mean of the figure on validation."""
        known = [row.objective for row in self.rows if row.objective is not None]
        return sum(known) / len(known) if known else None


def leaves_one_out(rows: Sequence[SweepRow]) -> bool:
    """Return whether the runs differ in the attack they hold out and, perhaps, in their seed."""
    return several_attacks(rows) and not any(row.overrides for row in rows)


def several_attacks(rows: Sequence[SweepRow]) -> bool:
    """Return whether not all runs hold out the same attack."""
    return len({row.held_out for row in rows}) > 1


def settings_of(rows: Sequence[SweepRow]) -> list[Setting]:
    """Return the runs by what differs between them."""
    return _grouped(rows, label_of)


def attacks_of(rows: Sequence[SweepRow]) -> list[Setting]:
    """Return the runs by the attack they hold out."""
    return _grouped(rows, lambda row: row.held_out)


def label_of(row: SweepRow) -> str:
    """Return in words what differs between this run and others, but for seed, attack and fold."""
    return ", ".join(_said(key, value) for key, value in row.overrides.items()) or "every run"


def _said(key: str, value: object) -> str:
    if isinstance(value, bool):
        last = key.split(".")[-1]
        return last if value else f"no {last}"
    return str(value) if key.split(".")[-1] in PLAIN else f"{short(key)} {shown(value)}"


def short(key: str) -> str:
    """Return what a key is called: its last part, or its group for a name or kind."""
    *groups, last = key.split(".")
    if groups and last in PLAIN:
        return groups[-1]
    return key if last in TASKS else last


def shown(value: object) -> str:
    """Return a value of a configuration as it is written."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "\N{MULTIPLICATION SIGN}".join(str(part) for part in value)
    return "none" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def fold_shown(rows: Sequence[SweepRow]) -> str:
    """Return "unseen", or "seen" where no run has figures of unseen attacks."""
    unseen = [row.figures[f"unseen/{key}"].value for row in rows for key in JUDGED]
    return "seen" if all(value is None for value in unseen) else "unseen"


def best_on_validation(settings: Sequence[Setting]) -> Setting | None:
    """Return the setting that did best on validation; the test has no say.

    None where there is no choice, or where settings are judged by different figures there, as one
    with a frame head and one without.
    """
    judged = [setting for setting in settings if setting.objective is not None]
    if len(judged) < 2 or len({row.judged_by for each in judged for row in each.rows}) > 1:
        return None
    return max(judged, key=lambda setting: setting.objective or 0.0)


def reference_of(
    settings: Sequence[Setting], wanted: str | None, defaults: Mapping[str, Any]
) -> Setting:
    """Return the setting that others are measured against.

    Args:
        settings: to choose from.
        wanted: ``KEY=VALUE[,KEY=VALUE]`` that it shall have; None for the one nearest to
            ``defaults``.
        defaults: value of each key where nothing is said.

    Raises:
        InputError: if none, or several, have what is ``wanted``.
    """
    if wanted is None:
        return max(
            settings,
            key=lambda one: sum(defaults.get(key) == value for key, value in one.overrides.items()),
        )
    # commas inside a list part nothing
    pairs = [text.partition("=") for text in re.split(r",(?=[\w.]+=)", wanted)]
    keys = list(settings[0].overrides)
    for key, sign, _ in pairs:
        if not sign or key not in keys:
            there = ", ".join(keys) or "no key, but perhaps the seed or the attack held out"
            raise InputError(f"--reference={wanted}: the runs differ in {there}; give KEY=VALUE")
    found = [
        setting
        for setting in settings
        if all(text in _written(setting.overrides[key]) for key, _, text in pairs)
    ]
    if len(found) == 1:
        return found[0]
    what = f"{len(found)} settings have it" if found else "no run has it"
    among = "; ".join(setting.label for setting in found or settings)
    raise InputError(f"--reference={wanted}: {what}; choose one of {among}")


def _grouped(rows: Sequence[SweepRow], label: Callable[[SweepRow], str]) -> list[Setting]:
    found: dict[str, list[SweepRow]] = {}
    for row in rows:
        found.setdefault(label(row), []).append(row)
    return [Setting(name, members) for name, members in found.items()]


def _written(value: object) -> tuple[str, ...]:
    return str(value), shown(value), str(value).replace(" ", "")
