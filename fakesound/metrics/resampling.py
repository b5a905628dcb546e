"""Bootstrap intervals and paired tests of metrics.

Clips of one source are not independent: a fake and its genuine twin share a recording. Therefore
whole sources are drawn with replacement (cluster bootstrap, Field and Welsh 2007), and the weight
of a clip is how often its source was drawn. All draws are computed at once.
"""

from collections.abc import Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Bool, Float, Float32
from threadpoolctl import threadpool_limits

from fakesound.errors import InputError
from fakesound.metrics.block import KEYS, Block, Draws
from fakesound.metrics.counts import number
from fakesound.metrics.sample import MIN_SOURCES, Part, Sample
from fakesound.metrics.scores import ClipScore
from fakesound.provenance import usable_cores

Name = TypeVar("Name", bound=Hashable)
Intervals = dict[str, list[float] | None]
BlockWithIntervals = dict[str, int | float | Intervals | None]

PERCENTILES = (2.5, 97.5)
MAX_THREADS = 4  # each computes a part, which takes some 100 MB with 1,000 draws


@dataclass(frozen=True)
class PairedDifference:
    """Difference of two systems in a metric, on the same clips.

    Attributes:
        a: value of the first system.
        b: value of the second system.
        difference: a minus b.
        low: lower end of the 95 % interval of the difference; None without draws.
        high: upper end of the interval; None without draws.
        p: two-sided bootstrap p-value of no difference; None without draws.
    """

    a: float
    b: float
    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


@dataclass(frozen=True, eq=False)
class BootstrapMetric:
    """Metric of one run, with its value in each bootstrap draw.

    Attributes:
        value: metric on all clips.
        drawn: metric in each draw of the sources, NaN if undefined.
    """

    value: float
    drawn: Float[np.ndarray, " draw"]


def metrics_block(scores: Sequence[ClipScore]) -> Block:
    """Return each metric of :data:`KEYS` for ``scores``, over all clips together.

    Decisions use each clip's own thresholds. ``clip/auc_within_domain`` is the mean AUC of the
    domains with at least 4 clips of each class, to which recognising the domain does not
    contribute. The functions of this package define the other metrics. Undefined metrics are None,
    as are the frame metrics of a system that only scores clips.

    Raises:
        InputError: if only some clips have frame scores.
    """
    return Sample.of(scores).block(np.ones(len(scores), dtype=bool))


def part_blocks(
    scores: Sequence[ClipScore],
    parts: Mapping[Name, Sequence[ClipScore]],
    draws: int = 1000,
    seed: int = 0,
) -> dict[Name, BlockWithIntervals]:
    """Return the metrics block of each part of ``scores``, with intervals under ``ci``.

    An interval is ``[low, high]`` of the 95 % percentile bootstrap, over the draws in which the
    metric is defined. The sources of all ``scores`` are drawn, with the same draws for each part.
    Intervals are exact except for the ranking of frames, whose scores are binned to about 2000
    levels if there are more. An interval is None if the metric is undefined, with fewer than 20
    sources of fake or of genuine clips, and for ``clips``. Without ``draws`` there is no ``ci``.

    Raises:
        InputError: if only some clips have frame scores.
    """
    sample = Sample.of(scores)
    drawn = source_draws(sample.sources, draws, seed)
    index_of = {clip.clip_id: index for index, clip in enumerate(scores)}
    masks: dict[Name, Part] = {}
    for name, clips in parts.items():
        masks[name] = np.zeros(len(scores), dtype=bool)
        masks[name][[index_of[clip.clip_id] for clip in clips]] = True

    def block(part: Part) -> BlockWithIntervals:
        point = sample.block(part)
        if not draws:
            return {**point}
        enough = sample.has_enough_sources(part)
        return {**point, "ci": _intervals(point, sample.drawn(part, drawn) if enough else {})}

    # a test of a single family or corpus has the same part several times
    distinct = {mask.tobytes(): mask for mask in masks.values()}
    threads = min(usable_cores(), MAX_THREADS)
    # threads of numpy's own would compete with these
    with threadpool_limits(1), ThreadPoolExecutor(threads) as pool:
        blocks = dict(zip(distinct, pool.map(block, distinct.values()), strict=True))
    return {name: {**blocks[mask.tobytes()]} for name, mask in masks.items()}


def paired_differences(
    scores_a: Sequence[ClipScore], scores_b: Sequence[ClipScore], draws: int = 1000, seed: int = 0
) -> dict[str, PairedDifference]:
    """Return the difference of systems a and b in each metric that both have.

    Clips are matched by ``clip_id``; both systems use the same draws of sources. The p-value is
    twice the smaller share of draws on one side of zero, with one draw added to each side, so it is
    at least ``2 / (draws + 1)``. Without draws, or with fewer than 20 sources of fake or of genuine
    clips, there is neither an interval nor a p-value.

    Raises:
        InputError: naming a clip that only one system scored, or whose labels differ.
    """
    scores_b = _match_clips(scores_a, scores_b)
    samples = [Sample.of(scores) for scores in (scores_a, scores_b)]
    every: Bool[np.ndarray, " clip"] = np.ones(len(scores_a), dtype=bool)
    a, b = (sample.block(every) for sample in samples)
    values = {
        key: (first, second)
        for key in KEYS[1:]
        if (first := a[key]) is not None and (second := b[key]) is not None
    }
    if not draws or not samples[0].has_enough_sources(every):
        return {key: PairedDifference(*pair, pair[0] - pair[1]) for key, pair in values.items()}
    draws_of_both = source_draws(samples[0].sources, draws, seed)
    drawn_a, drawn_b = (sample.drawn(every, draws_of_both) for sample in samples)
    return {
        key: difference_in_draws(*pair, drawn_a[key] - drawn_b[key]) for key, pair in values.items()
    }


def bootstrap_runs(
    runs: Sequence[Sequence[ClipScore]], draws: int = 1000, seed: int = 0
) -> list[dict[str, BootstrapMetric]]:
    """Return clip AUC and segment F1 at 20 ms of each run, if they are defined.

    All runs use the same draws of sources, so that metrics of two runs can be subtracted draw by
    draw. There are no metrics for a run without clips, nor for any run if all runs together have
    fewer than 20 sources of fake or of genuine clips.

    Raises:
        InputError: if only some clips of a run have frame scores.
    """
    by_label = [
        {clip.source_id for scores in runs for clip in scores if clip.fake == fake}
        for fake in (False, True)
    ]
    if min(map(len, by_label)) < MIN_SOURCES:
        return [{} for _ in runs]
    names = sorted(by_label[0] | by_label[1])
    drawn = source_draws(len(names), draws, seed)
    index_of = {name: index for index, name in enumerate(names)}
    metrics: list[dict[str, BootstrapMetric]] = []
    for scores in runs:
        sample = Sample.of(scores)
        source = np.array([index_of[clip.source_id] for clip in scores], dtype=np.int64)
        point = sample.main_metrics(np.ones((1, len(names))), source)
        values = sample.main_metrics(drawn, source)
        metrics.append(
            {
                key: BootstrapMetric(value, values[key])
                for key in point
                if (value := number(point[key])) is not None
            }
        )
    return metrics


def pooled_difference(pairs: Sequence[tuple[BootstrapMetric, BootstrapMetric]]) -> PairedDifference:
    """Return the difference between first and second of each pair, as the mean over ``pairs``.

    All metrics must come from one call of :func:`bootstrap_runs`, so that a draw has the same
    recordings in every run. Interval and p-value account for the choice of recordings, not for the
    seeds of training.
    """
    first, second = (float(np.mean([pair[side].value for pair in pairs])) for side in (0, 1))
    change = np.mean([a.drawn - b.drawn for a, b in pairs], axis=0)
    return difference_in_draws(first, second, change)


def source_draws(sources: int, draws: int, seed: int) -> Float32[np.ndarray, "draw source"]:
    """Return how often each source occurs in each draw with replacement."""
    generator = np.random.default_rng(seed)
    counts = np.empty((draws, sources), dtype=np.float32)
    for row in counts:
        row[:] = np.bincount(generator.integers(sources, size=sources), minlength=sources)
    return counts


def _intervals(point: Block, drawn: Draws) -> Intervals:
    intervals: Intervals = dict.fromkeys(KEYS)
    for key, values in drawn.items():
        defined = values[~np.isnan(values)]
        if point[key] is not None and defined.size:
            intervals[key] = np.percentile(defined, PERCENTILES).tolist()
    return intervals


def difference_in_draws(a: float, b: float, change: Float[np.ndarray, " draw"]) -> PairedDifference:
    """Return the difference of two values, with interval and p-value from the draws ``change``."""
    change = change[~np.isnan(change)]
    if not change.size:
        return PairedDifference(a, b, a - b)
    low, high = np.percentile(change, PERCENTILES)
    tail = min((change <= 0).sum(), (change >= 0).sum())
    p = min(1.0, 2 * (int(tail) + 1) / (change.size + 1))
    return PairedDifference(a, b, a - b, float(low), float(high), p)


def holm(p_values: Mapping[Any, float], tests: int | None = None) -> dict[Any, float]:
    """Correct p-values for the number of tests (Holm 1979).

    Args:
        p_values: p-value of each test by its name.
        tests: number of tests, if more than there are p-values.
    """
    number_of_tests = len(p_values) if tests is None else tests
    corrected: dict[Any, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (number_of_tests - rank) * p_values[name]))
        corrected[name] = highest
    return corrected


def _match_clips(scores_a: Sequence[ClipScore], scores_b: Sequence[ClipScore]) -> list[ClipScore]:
    """Return the clips of system b in the order of system a."""
    by_id = {clip.clip_id: clip for clip in scores_b}
    lone = {clip.clip_id for clip in scores_a} ^ by_id.keys()
    if lone:
        raise InputError(f"clip_id: {min(lone)!r} is scored by only one of the two systems")
    matched = [by_id[clip.clip_id] for clip in scores_a]
    for a, b in zip(scores_a, matched, strict=True):
        if (a.label, a.source_id, a.regions) != (b.label, b.source_id, b.regions):
            raise InputError(
                f"clip_id: {a.clip_id!r} differs in label, source_id or regions between the files"
            )
    return matched
