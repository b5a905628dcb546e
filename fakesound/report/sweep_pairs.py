"""Any two settings of a sweep, run by run on the same clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fakesound.metrics import (
    ClipScore,
    PairedDifference,
    Resampled,
    pooled_difference,
    read_scores,
    resampled,
    subsets,
)
from fakesound.report.paired import CHANCE
from fakesound.report.settings import JUDGED, Setting
from fakesound.report.sweep import SweepRow

# above it only the reference is compared with the rest
MOST_SETTINGS = 16

Clips = frozenset[tuple[str, bool, str]]


@dataclass(frozen=True)
class SettingPair:
    """How far one setting exceeds another on unseen attacks.

    Attributes:
        setting: the one.
        other: the other, which is subtracted.
        pairs: runs of the two on the same clips, with the same seed.
        differences: in clip AUC and segment F1, the mean over these.
        agreeing: in how many of the pairs the difference has the sign of the mean.
    """

    setting: str
    other: str
    pairs: int
    differences: Mapping[str, PairedDifference]
    agreeing: Mapping[str, int]

    def better(self, key: str) -> bool | None:
        """Return whether the one is better beyond chance; None where it cannot be told."""
        found = self.differences.get(key)
        if found is None or found.p >= CHANCE or not found.difference:
            return None
        return found.difference > 0


@dataclass(frozen=True, eq=False)
class Measured:
    """A run with its figures in every draw.

    Attributes:
        clips: that it was tested on: id, whether fake, source.
        figures: on the unseen ones.
    """

    clips: Clips
    figures: Mapping[str, Resampled]


def setting_pairs(
    settings: Sequence[Setting], reference: Setting, draws: int, part: str
) -> list[SettingPair]:
    """Return every setting against every other, or against ``reference`` alone if they are many.

    Settings that share no run on the same clips with the same seed cannot be paired.

    Args:
        settings: of the sweep.
        reference: one of them.
        draws: of the sources, for intervals and p-values.
        part: "unseen" or "seen" attacks.

    Raises:
        InputError: if a score file cannot be read.
    """
    rows = [row for setting in settings for row in setting.rows]
    if len(settings) < 2 or not draws:
        return []
    measured = _measured(rows, draws, part)
    against = settings if len(settings) <= MOST_SETTINGS else [reference]
    found = [
        _pair(setting, other, measured)
        for other in against
        for setting in settings
        if setting is not other
    ]
    return [pair for pair in found if pair.differences]


def _measured(rows: Sequence[SweepRow], draws: int, part: str) -> dict[str, Measured]:
    scores = [_part(row, part) for row in rows]
    figures = resampled(scores, draws)
    return {
        row.name: Measured(
            frozenset((clip.clip_id, clip.fake, clip.source_id) for clip in clips), found
        )
        for row, clips, found in zip(rows, scores, figures, strict=True)
    }


def _part(row: SweepRow, part: str) -> Sequence[ClipScore]:
    path = row.folder / "scores.jsonl"
    if not path.is_file():
        return ()
    parts = subsets(read_scores(path))
    return parts.unseen if part == "unseen" else parts.seen


def _pair(setting: Setting, other: Setting, measured: Mapping[str, Measured]) -> SettingPair:
    twins = {row.test: measured[row.name] for row in other.rows}
    pairs = [
        (measured[row.name], twins[row.test])
        for row in setting.rows
        if row.test in twins and twins[row.test].clips == measured[row.name].clips
    ]
    differences, agreeing = {}, {}
    for key in JUDGED:
        both = [
            (one.figures[key], two.figures[key])
            for one, two in pairs
            if key in one.figures and key in two.figures
        ]
        if both:
            found = pooled_difference(both)
            differences[key] = found
            agreeing[key] = sum((a.value - b.value) * found.difference > 0 for a, b in both)
    return SettingPair(setting.label, other.label, len(pairs), differences, agreeing)
