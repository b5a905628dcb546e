"""Compare the settings of a sweep in pairs of runs on the same clips."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fakesound.metrics import (
    BootstrapMetric,
    ClipScore,
    PairedDifference,
    bootstrap_runs,
    holm,
    pooled_difference,
    read_scores,
    subsets,
)
from fakesound.report.glossary import TWO_KEYS
from fakesound.report.sections import SIGNIFICANCE
from fakesound.report.sweep import Run, Setting, Sweep

MOST_SETTINGS = 16  # that are all compared with each other; else only with the reference


@dataclass(frozen=True)
class SettingPair:
    """Difference of two settings on the main part of the test.

    Attributes:
        setting: label of the first setting.
        other: label of the second setting, which is subtracted.
        pairs: number of pairs of runs with the same clips and seed.
        differences: mean differences in clip AUC and segment F1 over the pairs.
        agreeing: number of pairs whose difference has the sign of the mean.
        holm: p-values corrected for the number of settings compared with ``other``.
    """

    setting: str
    other: str
    pairs: int
    differences: Mapping[str, PairedDifference]
    agreeing: Mapping[str, int]
    holm: Mapping[str, float]

    def better(self, key: str) -> bool | None:
        """Return whether ``setting`` is significantly better; None if neither is."""
        if self.holm.get(key, 1.0) >= SIGNIFICANCE or not self.differences[key].difference:
            return None
        return self.differences[key].difference > 0


@dataclass(frozen=True, eq=False)
class RunMetrics:
    """Clips of a run, and its metrics in each bootstrap draw."""

    clips: frozenset[tuple[str, bool, str]]
    metrics: Mapping[str, BootstrapMetric]


def setting_pairs(sweep: Sweep, reference: Setting, resamples: int) -> list[SettingPair]:
    """Compare each setting with all others, or only with ``reference`` if there are many.

    Settings without runs on the same clips with the same seed cannot be paired. With fewer than 20
    sources of fake or of genuine clips there is no comparison.

    Args:
        sweep: runs to compare.
        reference: setting of the sweep.
        resamples: number of bootstrap draws of the sources; 0 for no comparison.

    Raises:
        InputError: if a score file cannot be read.
    """
    settings = sweep.settings
    if len(settings) < 2 or not resamples:
        return []
    scores = [_scores(run, sweep.part) for run in sweep.runs]
    measured = {
        run.name: RunMetrics(
            frozenset((clip.clip_id, clip.fake, clip.source_id) for clip in clips),
            metrics,
        )
        for run, clips, metrics in zip(
            sweep.runs, scores, bootstrap_runs(scores, resamples), strict=True
        )
    }
    found = []
    for other in settings if len(settings) <= MOST_SETTINGS else [reference]:
        pairs = [_pair(one, other, measured) for one in settings if one is not other]
        found += _corrected([pair for pair in pairs if pair.differences])
    return found


def _scores(run: Run, part: str) -> Sequence[ClipScore]:
    path = run.folder / "scores.jsonl"
    if not path.is_file():
        return ()
    return subsets(read_scores(path)).folds.get(part, [])


def _pair(setting: Setting, other: Setting, measured: Mapping[str, RunMetrics]) -> SettingPair:
    others = {run.test: measured[run.name] for run in other.runs}
    pairs = [
        (measured[run.name], others[run.test])
        for run in setting.runs
        if run.test in others and others[run.test].clips == measured[run.name].clips
    ]
    differences, agreeing = {}, {}
    for key in TWO_KEYS:
        both = [
            (one.metrics[key], two.metrics[key])
            for one, two in pairs
            if key in one.metrics and key in two.metrics
        ]
        if both:
            found = pooled_difference(both)
            differences[key] = found
            agreeing[key] = sum((a.value - b.value) * found.difference > 0 for a, b in both)
    return SettingPair(setting.label, other.label, len(pairs), differences, agreeing, {})


def _corrected(pairs: Sequence[SettingPair]) -> list[SettingPair]:
    """Correct the p-values of ``pairs`` for their number (Holm 1979)."""
    corrected: dict[str, dict[str, float]] = {pair.setting: {} for pair in pairs}
    for key in TWO_KEYS:
        found = holm(
            {
                pair.setting: p
                for pair in pairs
                if key in pair.differences and (p := pair.differences[key].p) is not None
            }
        )
        for setting, p_value in found.items():
            corrected[setting][key] = p_value
    return [replace(pair, holm=corrected[pair.setting]) for pair in pairs]
