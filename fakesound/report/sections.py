"""The sections of a page that not every run has: each None or empty where it is left out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure as Drawing

from fakesound.metrics import Reliability
from fakesound.report.glossary import (
    ALL_FIGURES,
    CALIBRATION_FIGURES,
    FRAME_RECALL,
    LOCALISATION_FIGURES,
    PRECISION_FIGURES,
    SEGMENT_ERRORS,
    Figure,
)
from fakesound.report.interval_figure import Panel, Series, interval_figure
from fakesound.report.parts import TITLES, known, value_of
from fakesound.report.style import PALETTE

PARTITIONS = {
    "region_length": "By length of the fake part",
    "family": "By family of attacks",
    "corpus": "By corpus",
    "subset": "By official subset",
}
PARTITION_FIGURES = (
    *(f for f in ALL_FIGURES if f.key in ("clip/auc", "clip/eer", "segment_f1_20ms")),
    FRAME_RECALL,
)
PARTITION_PANELS = ("clip/auc", "segment_f1_20ms", "frame_recall")
ORDER = ("unseen", "seen", "all", "validation")
BEFORE = "before calibration"
RELIABILITY = ("score", "share_fake", "clips")


@dataclass(frozen=True)
class Partition:
    """The test divided by something.

    Attributes:
        title: its heading.
        rows: metrics block of each division by its name.
        figures: that any of them has.
    """

    title: str
    rows: Mapping[str, Mapping[str, Any]]
    figures: Sequence[Figure]

    @property
    def counts(self) -> list[str]:
        """The numbers of clips that are known of its divisions."""
        blocks = list(self.rows.values())
        split = [name for name in ("fakes", "genuine") if known(blocks, name)]
        return split or [name for name in ("clips",) if known(blocks, name)]


@dataclass(frozen=True)
class Table:
    """Figures of parts of the test.

    Attributes:
        figures: the columns.
        rows: heading and values of each row.
    """

    figures: Sequence[Figure]
    rows: Sequence[tuple[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Localisation:
    """How exactly fake parts are found.

    Attributes:
        segment_errors: both segment equal error rates of each part; None where undefined.
        figures: the others.
        precisions: average precision of regions at each demand on their overlap.
    """

    segment_errors: Table | None
    figures: Table | None
    precisions: Table | None


def partitions(metrics: Mapping[str, Any]) -> list[Partition]:
    """Return the divisions of the test that have more than one name."""
    found = []
    for kind, title in PARTITIONS.items():
        rows = (metrics.get("partition") or {}).get(kind) or {}
        shown = [f for f in PARTITION_FIGURES if known(list(rows.values()), f.key)]
        if len(rows) > 1 and shown:
            found.append(Partition(title, rows, shown))
    return found


def partition_figure(partition: Partition) -> Drawing | None:
    """Return clip AUC, segment F1 and frame recall of each division, as far as they are known."""
    panels = [
        Panel(
            figure.title.lower().replace("auc", "AUC").replace("f1", "F1"),
            [
                Series(
                    "",
                    PALETTE.seen,
                    [value_of(block, figure.key) for block in partition.rows.values()],
                )
            ],
        )
        for figure in partition.figures
        if figure.key in PARTITION_PANELS
    ]
    return interval_figure(list(partition.rows), panels)


def localisation(metrics: Mapping[str, Any]) -> Localisation | None:
    """Return how exactly fake parts are found, None where nothing of it is known."""
    parts = _parts(metrics.get("localisation") or {})
    blocks = [block for _, block in parts]
    resolutions = sorted(
        {
            int(key.removeprefix(f"{kind}_").removesuffix("ms"))
            for kind in SEGMENT_ERRORS
            for block in blocks
            for key in block
            if key.startswith(f"{kind}_") and block[key] is not None
        }
    )
    errors = [
        (
            f"{title}, {named}" if len(parts) > 1 else named,
            {f"{size}": block.get(f"{kind}_{size}ms") for size in resolutions},
        )
        for title, block in parts
        for kind, named in SEGMENT_ERRORS.items()
    ]
    columns = [Figure(f"{size}", f"{size} ms", "") for size in resolutions]
    found = Localisation(
        Table(columns, errors) if columns else None,
        _table(LOCALISATION_FIGURES, parts),
        _table(PRECISION_FIGURES, parts),
    )
    return found if found.segment_errors or found.figures or found.precisions else None


def calibration(metrics: Mapping[str, Any]) -> Table | None:
    """Return figures of calibration of each part, after and before where both are known."""
    given = metrics.get("calibration") or {}
    before, after = ({**(given.get(name) or {})} for name in ("before", "after"))
    rows = []
    for title, block in _parts(after or before):
        name = next(key for key, value in TITLES.items() if value == title)
        if before and after:
            rows += [(title, block), (BEFORE, before.get(name) or {})]
        else:
            rows.append((title, block))
    return _table(CALIBRATION_FIGURES, rows)


def reliability_before(metrics: Mapping[str, Any], names: Iterable[str]) -> dict[str, Reliability]:
    """Return the points of the named parts' reliability diagrams before calibration."""
    before = (metrics.get("calibration") or {}).get("before") or {}
    return {
        name: Reliability(*(np.array(points[key], np.float64) for key in RELIABILITY))
        for name in names
        if (points := (before.get(name) or {}).get("reliability"))
    }


def abstention(metrics: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return title and figures of each part when the detector may say that it cannot tell."""
    parts = _parts(metrics.get("abstention") or {})
    return [(title, block) for title, block in parts if block.get("answered") is not None]


def _parts(by_name: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Return title and block of each part, the unseen attacks first.

    All of the test is left out where it has folds.
    """
    there = [name for name in ORDER if by_name.get(name)]
    folds = {"unseen", "seen"} & {*there}
    return [(TITLES[name], by_name[name]) for name in there if not (folds and name == "all")]


def _table(
    figures: Sequence[Figure], rows: Sequence[tuple[str, Mapping[str, Any]]]
) -> Table | None:
    shown = [figure for figure in figures if known([block for _, block in rows], figure.key)]
    return Table(shown, rows) if shown else None
