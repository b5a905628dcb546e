"""Tables and figures of a report: attacks, breakdowns, conditions, comparisons of systems."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from matplotlib.figure import Figure

from fakesound.metrics import Reliability
from fakesound.report.glossary import (
    ALL_METRICS,
    CALIBRATION_METRICS,
    LOCALISATION_METRICS,
    MAIN_KEYS,
    METRICS,
    PART_TITLES,
    PRECISION_METRICS,
    SEGMENT_ERRORS,
    TWO_KEYS,
    Metric,
    defined,
    known,
)
from fakesound.report.rows_figure import Panel, Row, Series, rows_figure
from fakesound.report.run_results import Part, Value, value_of
from fakesound.report.style import PALETTE, PART_COLOURS

Found = TypeVar("Found")

ORDER = ("unseen", "seen", "all", "validation")
SIGNIFICANCE = 0.05
BREAKDOWNS = {
    "region_length": "Length of the longest fake part",
    "corpus": "Corpus",
    "subset": "Official subset",
}
PAIRED_KEYS = (
    *("clip/auc", "clip/eer", "clip/balanced_accuracy", "segment_f1_20ms", "frame/auc"),
    *("range_eer", "event_f1"),
)


@dataclass(frozen=True)
class TableRow:
    """Row of a table of metrics.

    Attributes:
        title: heading of the row.
        block: metrics block.
        counts: numbers shown before the metrics.
        style: CSS class: "unseen", "baseline" or none.
    """

    title: str
    block: Mapping[str, Any]
    counts: Mapping[str, Any] = field(default_factory=dict)
    style: str = ""


@dataclass(frozen=True)
class Table:
    """Table with one metric per column.

    Attributes:
        corner: heading of the first column.
        metrics: columns.
        rows: rows.
    """

    corner: str
    metrics: Sequence[Metric]
    rows: Sequence[TableRow]

    @property
    def counts(self) -> list[str]:
        """Names of the counts in the rows."""
        return list(dict.fromkeys(name for row in self.rows for name in row.counts))


@dataclass(frozen=True)
class Difference:
    """Difference of two systems in a metric.

    Attributes:
        metric: compared metric.
        a: value of the first system.
        b: value of the second system.
        difference: a minus b, with its interval.
        p: two-sided p-value; None if there are too few sources.
    """

    metric: Metric
    a: float | None
    b: float | None
    difference: Value
    p: float | None

    @property
    def better(self) -> int | None:
        """Index of the significantly better system, 0 or 1; None if neither is."""
        value = self.difference.value
        if self.p is None or self.p >= SIGNIFICANCE or not value:
            return None
        return int((value < 0) != self.metric.lower_is_better)

    @property
    def improvement(self) -> Value:
        """Difference with the sign that is positive if the first system is better."""
        value, ends = self.difference.value, self.difference.interval
        if not self.metric.lower_is_better or value is None:
            return self.difference
        return Value(-value, None if ends is None else (-ends[1], -ends[0]))


@dataclass(frozen=True)
class PairedPart:
    """Comparison of two systems on a part of the test.

    Attributes:
        name: "unseen", "seen" or "all".
        title: heading of the part.
        systems: names of the systems.
        differences: differences in the metrics that both systems have.
    """

    name: str
    title: str
    systems: tuple[str, str]
    differences: Sequence[Difference]


@dataclass(frozen=True)
class Conditions:
    """Metrics of a part of the test under each condition.

    Attributes:
        name: "unseen", "seen" or "all".
        title: heading of the part.
        titles: names of the conditions, clean audio first.
        blocks: metrics block under each condition.
    """

    name: str
    title: str
    titles: Sequence[str]
    blocks: Sequence[Mapping[str, Any]]

    @property
    def metrics(self) -> list[Metric]:
        """Metrics that are shown."""
        return [METRICS[key] for key in TWO_KEYS if known(self.blocks, key)]

    def change(self, row: int, key: str) -> float | None:
        """Return the difference between a condition and clean audio."""
        value, clean = self.blocks[row].get(key), self.blocks[0].get(key)
        return None if value is None or clean is None else float(value) - float(clean)


def group_table(groups: Sequence[Part], corner: str, metrics: Iterable[Metric]) -> Table:
    """Return a table with ``metrics`` and numbers of clips of each group."""
    rows = [
        TableRow(
            group.name,
            group.block,
            {"fakes": group.fakes, "genuine": group.genuine},
            "unseen" if group.fold == "unseen" else "",
        )
        for group in groups
    ]
    return Table(corner, defined(metrics, [group.block for group in groups]), rows)


def groups_figure(groups: Sequence[Part], by_family: bool = False) -> Figure | None:
    """Draw clip AUC, frame AUC and segment F1 of each group; None without values.

    Ticks mark the trivial baseline: chance for AUC, always fake for F1.

    Args:
        groups: attacks or other groups of the test.
        by_family: whether to group names ``family/generator`` by family.
    """
    several = len({group.fold for group in groups}) > 1
    rows = []
    for group in groups:
        family, _, name = group.name.partition("/")
        label = f"{name if by_family and name else group.name} ({group.fakes})"
        colour = PALETTE.unseen if several and group.fold == "unseen" else PALETTE.ink
        rows.append(Row(label, family if by_family else None, colour))
    panels = []
    for key in MAIN_KEYS:
        values = [value_of(group.block, key) for group in groups]
        series = [
            Series(
                [v if g.fold == part else Value(None) for v, g in zip(values, groups, strict=True)],
                label if several else "",
                colour,
            )
            for part, label, colour in (
                ("unseen", "unseen attacks", PALETTE.unseen),
                ("seen", "seen attacks", PALETTE.seen),
                (None, "both or neither", PALETTE.muted),
            )
            if any(group.fold == part for group in groups)
        ]
        panels.append(Panel(METRICS[key].title, series, [group.baseline(key) for group in groups]))
    return rows_figure(rows, panels)


def paired_parts(paired: Mapping[str, Any]) -> list[PairedPart]:
    """Convert the "paired" object of ``metrics.json``, unseen attacks first.

    The whole test is omitted if there is an unseen or a seen part.
    """
    first, second = paired["names"]
    parts = {}
    for name in ORDER:
        differences = []
        for metric in ALL_METRICS:
            entry = (paired["parts"].get(name) or {}).get(metric.key)
            if entry is not None:
                low, high = entry.get("low"), entry.get("high")
                ends = None if low is None or high is None else (low, high)
                value = Value(entry["difference"], ends)
                differences.append(
                    Difference(metric, entry["a"], entry["b"], value, entry.get("p"))
                )
        if differences:
            parts[name] = PairedPart(name, PART_TITLES[name], (first, second), differences)
    return without_whole(parts)


def paired_figure(parts: Sequence[PairedPart]) -> Figure | None:
    """Draw the improvement of the first system over the second in each metric."""
    by_key = [{each.metric.key: each for each in part.differences} for part in parts]
    keys = [key for key in PAIRED_KEYS if any(key in found for found in by_key)]
    if not keys:
        return None
    series = [
        Series(
            [found[key].improvement if key in found else Value(None) for key in keys],
            part.title.lower(),
            PART_COLOURS.get(part.name, PALETTE.ink),
        )
        for part, found in zip(parts, by_key, strict=True)
    ]
    title = f"right of zero: {parts[0].systems[0]} is better"
    rows = [Row(METRICS[key].title) for key in keys]
    return rows_figure(rows, [Panel(title, series, differences=True)])


def conditions(robustness: Mapping[str, Any]) -> list[Conditions]:
    """Convert the "robustness" object of ``metrics.json``, by part of the test.

    The whole test is omitted if there is an unseen or a seen part.
    """
    given = robustness["conditions"]
    if len(given) < 2:
        return []
    titles = [condition["title"] for condition in given]
    parts = {
        name: Conditions(
            name, PART_TITLES[name], titles, [condition.get(name) or {} for condition in given]
        )
        for name in ORDER
        if given[0].get(name)
    }
    return without_whole({name: part for name, part in parts.items() if part.metrics})


def conditions_figure(parts: Sequence[Conditions]) -> Figure | None:
    """Draw clip AUC and segment F1 under each condition, with a dashed line at clean audio."""
    if not parts:
        return None
    panels = [
        Panel(
            METRICS[key].title,
            [
                Series(
                    [value_of(block, key) for block in part.blocks],
                    part.title.lower(),
                    PART_COLOURS.get(part.name, PALETTE.ink),
                    part.blocks[0].get(key),
                )
                for part in parts
            ],
        )
        for key in TWO_KEYS
    ]
    return rows_figure([Row(title) for title in parts[0].titles], panels)


def localisation_tables(metrics: Mapping[str, Any]) -> dict[str, Table]:
    """Return the tables of localisation with values: "regions", "segments", "precision"."""
    parts = by_part(metrics.get("localisation") or {})
    rows = [TableRow(title, block) for title, block in parts]
    sizes = sorted(
        {
            int(key.removeprefix(f"{kind}_").removesuffix("ms"))
            for kind in SEGMENT_ERRORS
            for _, block in parts
            for key in block
            if key.startswith(f"{kind}_") and block[key] is not None
        }
    )
    errors = [
        TableRow(
            f"{title}, {name}" if len(parts) > 1 else name,
            {str(size): block.get(f"{kind}_{size}ms") for size in sizes},
        )
        for title, block in parts
        for kind, name in SEGMENT_ERRORS.items()
    ]
    tables = {
        "regions": Table("metric", LOCALISATION_METRICS, rows),
        "segments": Table("segment", [Metric(f"{n}", f"{n} ms", "") for n in sizes], errors),
        "precision": Table("IoU", PRECISION_METRICS, rows),
    }
    found = {name: _defined(table) for name, table in tables.items()}
    return {name: table for name, table in found.items() if table.metrics}


def calibration_table(metrics: Mapping[str, Any]) -> Table | None:
    """Return calibration metrics of each part, also before calibration if known."""
    given = metrics.get("calibration") or {}
    before, after = given.get("before") or {}, given.get("after") or {}
    rows = []
    for name, title in PART_TITLES.items():
        block = (after or before).get(name)
        if block and title in dict(by_part(after or before)):
            rows.append(TableRow(title, block))
            if before and after:
                rows.append(TableRow("before calibration", before.get(name) or {}, {}, "baseline"))
    table = _defined(Table("clips", CALIBRATION_METRICS, rows))
    return table if table.metrics else None


def reliability_before(metrics: Mapping[str, Any], names: Iterable[str]) -> dict[str, Reliability]:
    """Return the reliability diagrams of the named parts before calibration."""
    before = (metrics.get("calibration") or {}).get("before") or {}
    return {
        name: Reliability(
            *(np.array(points[key], np.float64) for key in ("score", "share_fake", "clips"))
        )
        for name in names
        if (points := (before.get(name) or {}).get("reliability"))
    }


def by_part(blocks: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return title and block of each part, unseen attacks first.

    The whole test is omitted if there is an unseen or a seen part.
    """
    return without_whole(
        {
            name: (PART_TITLES[name], blocks[name])
            for name in ORDER
            if isinstance(blocks.get(name), Mapping)
        }
    )


def without_whole(parts: Mapping[str, Found]) -> list[Found]:
    """Return the values of ``parts``, without the whole test if there is a seen or unseen part."""
    has_folds = {"unseen", "seen"} & parts.keys()
    return [part for name, part in parts.items() if not (has_folds and name == "all")]


def _defined(table: Table) -> Table:
    return Table(
        table.corner, defined(table.metrics, [row.block for row in table.rows]), table.rows
    )
