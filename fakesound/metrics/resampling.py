"""Figures of parts of a test set, and how far they would move with other recordings.

Clips of one source are not independent: a fake and its genuine twin share a recording. So whole
sources are drawn with replacement (cluster bootstrap, Field and Welsh 2007) and every clip weighs
as often as its source was drawn. A draw is a row of weights; all draws are computed at once, on a
test set that is laid out once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32

from fakesound.errors import InputError
from fakesound.metrics.block import KEYS, Block, Draws
from fakesound.metrics.counts import number
from fakesound.metrics.sample import MIN_SOURCES, Sample
from fakesound.metrics.scores import ClipScore

Intervals = dict[str, list[float] | None]
BlockWithIntervals = dict[str, int | float | Intervals | None]

PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class PairedDifference:
    """The difference of two systems in a figure, on the same clips.

    Attributes:
        a: figure of the first system.
        b: figure of the second.
        difference: the first less the second.
        low: lower end of its 95 % interval; None without draws.
        high: upper end; None without draws.
        p: two-sided bootstrap p-value of no difference; None without draws.
    """

    a: float
    b: float
    difference: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


@dataclass(frozen=True, eq=False)
class Resampled:
    """A metric of one run, with its value on each draw of the sources.

    Attributes:
        value: metric on its clips.
        drawn: metric on each draw of the sources, NaN where it is undefined.
    """

    value: float
    drawn: Float[np.ndarray, " draw"]


def metrics_block(scores: Sequence[ClipScore]) -> Block:
    """Return every figure of :data:`KEYS` for ``scores``, counted over all clips together.

    Decisions use each clip's own thresholds. ``clip/auc_within_domain`` is the mean of the AUCs
    inside each domain with at least 4 clips of both labels; telling domains apart does not raise
    it. The other figures are defined by the functions of this package. An undefined figure is
    None, and so are all but the clip figures of a system that only scores clips.

    Raises:
        InputError: if only some clips have frame scores.
    """
    return Sample.of(scores).block(np.ones(len(scores), dtype=bool))


def part_blocks(
    scores: Sequence[ClipScore],
    parts: Mapping[str, Sequence[ClipScore]],
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, BlockWithIntervals]:
    """Return the metrics block of each of ``parts`` of ``scores``, its intervals under ``ci``.

    An interval is ``[low, high]`` of the 95 % percentile bootstrap. Sources of all ``scores`` are
    drawn, the same for every part, never clips or frames alone. Exact but for the ranking of
    frames, which are gathered into some 2000 levels where their scores are more than that. Draws
    in which a figure is undefined are left out. None where the figure itself is undefined, below
    20 sources of fakes or of genuine clips, and for ``clips``. With ``draws`` of 0 there are no
    intervals.

    Raises:
        InputError: if only some clips have frame scores.
    """
    sample = Sample.of(scores)
    drawn = source_draws(sample.sources, draws, seed)
    place = {clip.clip_id: index for index, clip in enumerate(scores)}
    known: dict[bytes, BlockWithIntervals] = {}
    blocks: dict[str, BlockWithIntervals] = {}
    for name, clips in parts.items():
        part = np.zeros(len(scores), dtype=bool)
        part[[place[clip.clip_id] for clip in clips]] = True
        key = part.tobytes()
        # one family, or one corpus, is the same clips again
        if key not in known:
            point = sample.block(part)
            known[key] = {**point}
            if draws:
                enough = sample.has_enough_sources(part)
                known[key]["ci"] = _intervals(point, sample.drawn(part, drawn) if enough else {})
        blocks[name] = {**known[key]}
    return blocks


def paired_differences(
    scores_a: Sequence[ClipScore],
    scores_b: Sequence[ClipScore],
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, PairedDifference]:
    """Return by how much system a exceeds system b in every figure that both have, by its key.

    Clips are matched by ``clip_id``, and both systems see the same draws of sources. The p-value
    is twice the smaller share of draws on one side of zero, with one draw added to either side, so
    it is never below ``2 / (draws + 1)``. Without draws, or with fewer than 20 sources of fakes or
    of genuine clips, there is neither an interval nor a p-value.

    Raises:
        InputError: naming a clip that only one system scored or that they describe differently.
    """
    scores_b = _matched(scores_a, scores_b)
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


def resampled(
    runs: Sequence[Sequence[ClipScore]], draws: int = 1000, seed: int = 0
) -> list[dict[str, Resampled]]:
    """Return clip AUC and segment F1 at 20 ms of each run, where they are defined.

    The sources of all runs are drawn together, so that figures of two runs may be subtracted draw
    by draw. A run without clips has no figure, and neither has any run where all of them together
    have fewer than 20 sources of fakes or of genuine clips.

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
    place = {name: index for index, name in enumerate(names)}
    found: list[dict[str, Resampled]] = []
    for scores in runs:
        sample = Sample.of(scores)
        source = np.array([place[clip.source_id] for clip in scores], dtype=np.int64)
        once, values = (sample.main_figures(at, source) for at in (np.ones((1, len(names))), drawn))
        found.append(
            {
                key: Resampled(value, values[key])
                for key in once
                if (value := number(once[key])) is not None
            }
        )
    return found


def pooled_difference(pairs: Sequence[tuple[Resampled, Resampled]]) -> PairedDifference:
    """Return by how much the first of each pair exceeds the second, in the mean of all ``pairs``.

    The figures must come from one call of :func:`resampled`: a draw is then the same recordings
    in every run. Interval and p-value hold for other recordings and these trained detectors; they
    do not cover another seed of the training.
    """
    first, second = (float(np.mean([pair[side].value for pair in pairs])) for side in (0, 1))
    change = np.mean([a.drawn - b.drawn for a, b in pairs], axis=0)
    return difference_in_draws(first, second, change)


def source_draws(sources: int, draws: int, seed: int) -> Float32[np.ndarray, "draw source"]:
    """Return how often each source occurs in each draw of ``sources`` with replacement."""
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
    """Return the difference of two figures, with interval and p-value by the draws ``change``."""
    change = change[~np.isnan(change)]
    low, high = np.percentile(change, PERCENTILES)
    tail = min((change <= 0).sum(), (change >= 0).sum())
    p = min(1.0, 2 * (int(tail) + 1) / (change.size + 1))
    return PairedDifference(a, b, a - b, float(low), float(high), p)


def holm(p_values: Mapping[Any, float], tests: int | None = None) -> dict[Any, float]:
    """Return p-values corrected for the number of tests (Holm 1979).

    Args:
        p_values: p-value of each test, by any name.
        tests: number of tests, where some of them have no p-value yet.
    """
    number_of_tests = len(p_values) if tests is None else tests
    corrected: dict[Any, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (number_of_tests - rank) * p_values[name]))
        corrected[name] = highest
    return corrected


def _matched(scores_a: Sequence[ClipScore], scores_b: Sequence[ClipScore]) -> list[ClipScore]:
    """Return the clips of b in the order of a."""
    by_id = {clip.clip_id: clip for clip in scores_b}
    lone = {clip.clip_id for clip in scores_a} ^ by_id.keys()
    if lone:
        raise InputError(f"clip_id: {min(lone)!r} is scored by only one of the two systems")
    matched = [by_id[clip.clip_id] for clip in scores_a]
    for a, b in zip(scores_a, matched, strict=True):
        if (a.label, a.source_id, a.regions) != (b.label, b.source_id, b.regions):
            raise InputError(
                f"clip_id: {a.clip_id!r} has another label, source_id or regions in the second file"
            )
    return matched
