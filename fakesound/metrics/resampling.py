"""Figures of parts of a test set, and how far they would move with other recordings.

Clips of one source are not independent: a fake and its genuine twin share a recording. So whole
sources are drawn with replacement (cluster bootstrap, Field and Welsh 2007) and every clip weighs
as often as its source was drawn. A draw is a row of weights; all draws are computed at once, on a
test set that is laid out once.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from fakesound.errors import InputError
from fakesound.metrics.block import (
    KEYS,
    Block,
    ClipColumns,
    Draws,
    LocalisationCounts,
    clip_draws,
    frame_draws,
    localisation_draws,
)
from fakesound.metrics.counts import ScoreCounts, number, score_counts
from fakesound.metrics.frames import FrameTable, frame_table
from fakesound.metrics.localisation import add_score_draws, f1_draws
from fakesound.metrics.ranking import auc_draws
from fakesound.metrics.scores import ClipScore, has_frames

Intervals = dict[str, list[float] | None]
BlockWithIntervals = dict[str, int | float | Intervals | None]

PERCENTILES = (2.5, 97.5)
MIN_SOURCES = 20  # of fakes and of genuine clips, for an interval or a p-value
FRAME_LEVELS = 2000
SOURCES_AT_ONCE = 1024
WEIGHTS_AT_ONCE = 2_000_000  # bounds the memory of a block of draws

Part = Bool[np.ndarray, " clip"]
Drawn = Float32[np.ndarray, "draw source"]


@dataclass(frozen=True)
class PairedDifference:
    """How much one system exceeds another on the same clips.

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
    return [
        _figures(scores, drawn[:, [place[clip.source_id] for clip in scores]]) if scores else {}
        for scores in runs
    ]


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


@dataclass(frozen=True, eq=False)
class Frames:
    """The frames of all clips, from the highest score down.

    Attributes:
        clip: index of the clip of each.
        score: P(fake).
        place: its level among some 2000, or among all scores where they are fewer.
        top: score of each level, from the highest down.
        kinds: what a frame weighs: as a fake and as a genuine one, as fake and as genuine time.
    """

    clip: Int[np.ndarray, " frame"]
    score: Float32[np.ndarray, " frame"]
    place: Int[np.ndarray, " frame"]
    top: Float[np.ndarray, " level"]
    kinds: Float[np.ndarray, "4 frame"]

    @classmethod
    def of(cls, table: FrameTable) -> "Frames":
        """Return the frames of ``table``."""
        edges = _level_edges(table.frame_score, table.frame_fake)
        order = np.argsort(-table.frame_score, kind="stable")
        score, fake = table.frame_score[order], table.frame_fake[order].astype(np.float64)
        fake_time = table.frame_fake_time[order].astype(np.float64)
        time = np.diff(table.frame_edge)[order].astype(np.float64)
        return cls(
            clip=table.frame_clip[order],
            score=score,
            place=edges.size - np.searchsorted(edges, score, side="right"),
            top=np.append(edges[::-1], -np.inf).astype(np.float64),
            kinds=np.stack((fake, 1 - fake, fake_time, time - fake_time)),
        )


@dataclass(frozen=True, eq=False)
class Sample:
    """A test set: clips, their sources, and what was counted in each.

    Attributes:
        columns: scores and labels of the clips.
        source: number of the source of each clip.
        sources: how many there are.
        counts: segments and events of each clip; None for a system that only scores clips.
        frames: frames of all clips; None likewise.
    """

    columns: ClipColumns
    source: Int[np.ndarray, " clip"]
    sources: int
    counts: LocalisationCounts | None
    frames: Frames | None
    _genuine: dict[bytes, Float[np.ndarray, "4 draw level"]] = field(default_factory=dict)

    @classmethod
    def of(cls, scores: Sequence[ClipScore]) -> "Sample":
        """Return ``scores`` laid out.

        Raises:
            InputError: if only some clips have frame scores.
        """
        names, source = np.unique([clip.source_id for clip in scores], return_inverse=True)
        columns = ClipColumns.of(scores)
        if not has_frames(scores):
            return cls(columns, source, names.size, None, None)
        table = frame_table(scores)
        counts = LocalisationCounts.of(table, scores)
        return cls(columns, source, names.size, counts, Frames.of(table))

    def has_enough_sources(self, part: Part) -> bool:
        """Return whether fakes and genuine clips in ``part`` each have at least 20 sources."""
        fake = self.columns.fake
        kinds = (part & fake, part & ~fake)
        return min(np.unique(self.source[kind]).size for kind in kinds) >= MIN_SOURCES

    def block(self, part: Part) -> Block:
        """Return the metrics block of the clips in ``part``."""
        weights = np.ones((1, int(part.sum())))
        values = clip_draws(self.columns.only(part), weights)
        if self.counts is not None and self.frames is not None:
            values |= localisation_draws(self.counts.only(part), weights)
            values |= frame_draws(*_levels(self.frames, part))
            values["add_score"] = add_score_draws(
                values["clip/accuracy"], values["segment_f1_20ms"]
            )
        undefined = np.full(1, np.nan)
        clips = int(part.sum())
        return {"clips": clips} | {k: number(values.get(k, undefined)) for k in KEYS[1:]}

    def drawn(self, part: Part, draws: Drawn) -> Draws:
        """Return every figure of the clips in ``part`` in each draw, NaN where it is undefined."""
        source, columns = self.source[part], self.columns.only(part)
        if self.counts is None or self.frames is None:
            return _stacked(clip_draws(columns, weights) for weights in _weights(draws, source))
        counts = self.counts.only(part)
        values = _stacked(
            clip_draws(columns, weights) | localisation_draws(counts, weights)
            for weights in _weights(draws, source)
        )
        values["add_score"] = add_score_draws(values["clip/accuracy"], values["segment_f1_20ms"])
        fake = part & self.columns.fake
        totals = self._totals(fake, draws) + self._totals_of_genuine(part & ~fake, draws)
        time = ScoreCounts(self.frames.top, totals[2], totals[3])
        return values | frame_draws(ScoreCounts(self.frames.top, totals[0], totals[1]), time)

    def _totals_of_genuine(self, part: Part, draws: Drawn) -> Float[np.ndarray, "4 draw level"]:
        """Return :meth:`_totals`, kept for the next part with the same genuine clips."""
        key = part.tobytes()
        if key not in self._genuine:
            self._genuine.clear()
            self._genuine[key] = self._totals(part, draws)
        return self._genuine[key]

    def _totals(self, part: Part, draws: Drawn) -> Float[np.ndarray, "4 draw level"]:
        """Return the weight at each level of the frame score, of each kind, in each draw.

        A histogram of each source times the draws of that source; sources go in blocks, because
        thousands of histograms of thousands of levels would not fit.
        """
        frames = self.frames
        assert frames is not None
        size = frames.top.size
        totals = np.zeros((len(frames.kinds), len(draws), size))
        inside = part[frames.clip]
        names, source = np.unique(self.source[frames.clip[inside]], return_inverse=True)
        place, kinds = frames.place[inside], frames.kinds[:, inside]
        for first in range(0, names.size, SOURCES_AT_ONCE):
            block = names[first : first + SOURCES_AT_ONCE]
            rows = (source >= first) & (source < first + block.size)
            cell = (source[rows] - first) * size + place[rows]
            weights = draws[:, block].astype(np.float64)
            for total, kind in zip(totals, kinds, strict=True):
                if kind[rows].any():
                    histogram = np.bincount(cell, kind[rows], minlength=block.size * size)
                    total += weights @ histogram.reshape(-1, size)
        return totals


def _levels(frames: Frames, part: Part) -> tuple[ScoreCounts, ScoreCounts]:
    """Return the frames of ``part`` by score: each counting once, and by its time."""
    inside = part[frames.clip]
    kinds = frames.kinds[:, inside]
    both = score_counts(frames.score[inside], kinds[0::2], kinds[1::2])
    of_frames, of_time = (
        ScoreCounts(both.score, both.fake[i, None], both.genuine[i, None]) for i in (0, 1)
    )
    return of_frames, of_time


def _weights(
    draws: Drawn, source: Int[np.ndarray, " clip"]
) -> Iterator[Float[np.ndarray, "some clip"]]:
    """Yield the weights of the clips, a few draws at a time."""
    rows = max(1, WEIGHTS_AT_ONCE // max(1, source.size))
    for first in range(0, len(draws), rows):
        yield draws[first : first + rows, source].astype(np.float64)


def _stacked(parts: Iterator[Draws]) -> Draws:
    whole = list(parts)
    return {key: np.concatenate([part[key] for part in whole]) for key in whole[0]}


def _level_edges(
    score: Float32[np.ndarray, " frame"], fake: Bool[np.ndarray, " frame"]
) -> Float32[np.ndarray, " edge"]:
    """Return the lowest score of each level, ascending.

    Every distinct score where they are few; else equal shares of the fakes and of the genuines,
    so that both error rates move in small steps.
    """
    distinct = np.unique(score)
    if distinct.size <= FRAME_LEVELS:
        return distinct
    kinds = (np.sort(score[fake]), np.sort(score[~fake]))
    picks = [
        kind[np.linspace(0, kind.size - 1, FRAME_LEVELS // 2).astype(np.int64)]
        for kind in kinds
        if kind.size
    ]
    return np.unique(np.concatenate(picks))


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


def _figures(
    scores: Sequence[ClipScore], drawn: Float[np.ndarray, "draw clip"]
) -> dict[str, Resampled]:
    sample, blocks = Sample.of(scores), []
    rows = max(1, WEIGHTS_AT_ONCE // len(scores))
    for first in range(0, len(drawn), rows):
        blocks.append(_at(sample, drawn[first : first + rows].astype(np.float64)))
    once = _at(sample, np.ones((1, len(scores))))
    found = {}
    for key, values in once.items():
        value = number(values)
        if value is not None:
            found[key] = Resampled(value, np.concatenate([block[key] for block in blocks]))
    return found


def _at(sample: Sample, weights: Float[np.ndarray, "draw clip"]) -> dict[str, np.ndarray]:
    fake, logit = sample.columns.fake, sample.columns.logit
    figures = {"clip/auc": auc_draws(score_counts(logit, weights * fake, weights * ~fake))}
    if sample.counts is not None:
        figures["segment_f1_20ms"] = f1_draws(sample.counts.segment_20ms, weights)
    return figures
