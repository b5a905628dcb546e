"""Every attack against every setting: a heat map."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from fakesound.metrics import read_scores, subsets
from fakesound.report.parts import all_fake_f1
from fakesound.report.settings import JUDGED, Setting, several_attacks
from fakesound.report.style import PALETTE, blend
from fakesound.report.sweep import SweepRow

MOST_SETTINGS = 12
GUESSING = 0.5
LIGHT_FROM = 0.6


@dataclass(frozen=True)
class Cell:
    """A figure of one setting on one attack.

    Attributes:
        value: median over the seeds; None where there is none.
        colour: of its background.
        light: whether text on it is to be light.
    """

    value: float | None
    colour: str
    light: bool


@dataclass(frozen=True)
class MatrixRow:
    """An attack.

    Attributes:
        attack: its name, or several held out together.
        unseen: whether it was held out.
        floor: what not listening gives: .5 for AUC, calling everything fake for F1.
        cells: of each setting.
    """

    attack: str
    unseen: bool
    floor: float | None
    cells: Sequence[Cell]


@dataclass(frozen=True)
class Matrix:
    """A figure of every attack and setting.

    Attributes:
        key: of the figure.
        settings: labels of the columns.
        rows: of the attacks, held-out ones first.
    """

    key: str
    settings: Sequence[str]
    rows: Sequence[MatrixRow]


def matrices(settings: Sequence[Setting]) -> list[Matrix]:
    """Return clip AUC and segment F1 by attack and setting, where there are not too many.

    Where attacks are left out in turn, a cell is of the runs that left the attack out; otherwise
    every attack of the test has a row.
    """
    rows = [row for setting in settings for row in setting.rows]
    if len(settings) > MOST_SETTINGS or not rows:
        return []
    if several_attacks(rows):
        if len(settings) < 2:
            return []
        made = [_left_out(settings, key) for key in JUDGED]
    else:
        known = _tested_attacks(rows)
        made = [_tested(settings, key, known) for key in JUDGED]
    return [
        one for one in made if any(cell.value is not None for r in one.rows for cell in r.cells)
    ]


def shade(value: float | None, floor: float | None) -> Cell:
    """Return a cell whose colour says how far ``value`` is above, or below, its ``floor``."""
    if value is None or floor is None or floor >= 1:
        return Cell(value, PALETTE.paper, False)
    above = value >= floor
    share = (value - floor) / (1 - floor) if above else min(1.0, (floor - value) / max(floor, 0.1))
    colour = blend(PALETTE.paper, PALETTE.seen if above else PALETTE.unseen, share)
    return Cell(value, colour, share > LIGHT_FROM)


def _left_out(settings: Sequence[Setting], key: str) -> Matrix:
    names = sorted({row.held_out for setting in settings for row in setting.rows})
    found = []
    for name in names:
        members = [[row for row in one.rows if row.held_out == name] for one in settings]
        floor: float | None = GUESSING
        if key != "clip/auc":
            known = [r.all_fake_f1 for rows in members for r in rows if r.all_fake_f1 is not None]
            floor = median(known) if known else None
        values = [_median([row.figures[f"unseen/{key}"].value for row in rows]) for rows in members]
        cells = [shade(value, floor) for value in values]
        found.append(MatrixRow(name or "nothing", True, floor, cells))
    return Matrix(key, [setting.label for setting in settings], found)


def _tested(
    settings: Sequence[Setting], key: str, known: Mapping[str, tuple[bool, float | None]]
) -> Matrix:
    names = {name for one in settings for row in one.rows for name in row.attacks}
    found = []
    for name in names:
        unseen, floor = known.get(name, (False, None))
        floor = GUESSING if key == "clip/auc" else floor
        values = [
            _median([(row.attacks.get(name) or {}).get(key) for row in one.rows])
            for one in settings
        ]
        found.append(MatrixRow(name, unseen, floor, [shade(value, floor) for value in values]))
    found.sort(key=lambda row: (not row.unseen, row.attack))
    return Matrix(key, [setting.label for setting in settings], found)


def _tested_attacks(rows: Sequence[SweepRow]) -> dict[str, tuple[bool, float | None]]:
    """Return what `_attacks` does of the first run that scored frames, or of any."""
    found: dict[str, tuple[bool, float | None]] = {}
    for row in rows:
        found = _attacks(row) or found
        if any(floor is not None for _, floor in found.values()):
            break
    return found


def _attacks(row: SweepRow) -> dict[str, tuple[bool, float | None]]:
    """Return which attacks the test of ``row`` holds out, and the F1 of calling each all fake."""
    path = row.folder / "scores.jsonl"
    if not path.is_file():
        return {}
    parts = subsets(read_scores(path)).attack
    return {
        name: (any(clip.fold == "unseen" for clip in clips), all_fake_f1(clips))
        for name, clips in parts.items()
    }


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
