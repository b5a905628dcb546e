"""Metrics of any part of a test set in any bootstrap draws, from counts that are computed once."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Shaped

from fakesound.metrics.block import (
    KEYS,
    Block,
    ClipColumns,
    Draws,
    clip_draws,
    frame_draws,
    localisation_counts,
)
from fakesound.metrics.counts import ScoreCounts, number, score_counts, sorted_counts
from fakesound.metrics.frames import FrameTable, frame_table
from fakesound.metrics.localisation import add_score_draws, f1_draws
from fakesound.metrics.ranking import auc_draws
from fakesound.metrics.scores import ClipScore, has_frames

MIN_SOURCES = 20  # sources of each class that an interval or a p-value needs
FRAME_LEVELS = 2000
SOURCE_CHUNK = 1024
WEIGHT_CHUNK = 100_000  # weights in a chunk of draws, few enough for the cache of a processor
EXACT = 2**24  # integers up to here are exact in single precision

Part = Bool[np.ndarray, " clip"]
SourceDraws = Float32[np.ndarray, "draw source"]


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of all clips, sorted from the highest score down.

    Attributes:
        clip: index of the clip of each frame.
        score: P(fake) of each frame.
        level: index of the level of each frame, among at most about 2000.
        top: score of each level, from the highest down.
        kinds: weight of each frame: as a fake and as a genuine frame, as fake and as genuine time,
            all whole numbers.
    """

    clip: Int[np.ndarray, " frame"]
    score: Float32[np.ndarray, " frame"]
    level: Int[np.ndarray, " frame"]
    top: Float[np.ndarray, " level"]
    kinds: Sequence[Shaped[np.ndarray, " frame"]]

    @classmethod
    def of(cls, table: FrameTable) -> "Frames":
        """Return the frames of ``table``."""
        edges = _level_edges(table.frame_score, table.frame_fake)
        order = np.argsort(-table.frame_score, kind="stable")
        score, fake = table.frame_score[order], table.frame_fake[order]
        fake_time = table.frame_fake_time[order]
        genuine_time = np.diff(table.frame_edge)[order] - fake_time
        return cls(
            clip=table.frame_clip[order],
            score=score,
            level=edges.size - np.searchsorted(edges, score, side="right"),
            top=np.append(edges[::-1], -np.inf).astype(np.float64),
            kinds=(fake, ~fake, fake_time, genuine_time),
        )


@dataclass(frozen=True, eq=False)
class Sample:
    """Test set: clips, their sources, and the counts of each clip.

    Attributes:
        columns: scores and labels of the clips.
        source: index of the source of each clip.
        sources: number of sources.
        counts: counts of `localisation_counts`; empty for a system that only scores clips.
        frames: frames of all clips; None for a system that only scores clips.
    """

    columns: ClipColumns
    source: Int[np.ndarray, " clip"]
    sources: int
    counts: dict[str, Int[np.ndarray, "clip 3"]]
    frames: Frames | None

    @classmethod
    def of(cls, scores: Sequence[ClipScore]) -> "Sample":
        """Return the sample of ``scores``.

        Raises:
            InputError: if only some clips have frame scores.
        """
        names, source = np.unique([clip.source_id for clip in scores], return_inverse=True)
        columns = ClipColumns.of(scores)
        if not has_frames(scores):
            return cls(columns, source, names.size, {}, None)
        table = frame_table(scores)
        return cls(
            columns, source, names.size, localisation_counts(table, scores), Frames.of(table)
        )

    def has_enough_sources(self, part: Part) -> bool:
        """Return whether fake and genuine clips in ``part`` each have at least 20 sources."""
        fake = self.columns.fake
        kinds = (part & fake, part & ~fake)
        return min(np.unique(self.source[kind]).size for kind in kinds) >= MIN_SOURCES

    def block(self, part: Part) -> Block:
        """Return the metrics block of the clips in ``part``."""
        weights = np.ones((1, int(part.sum())))
        values = self._clip_and_segment_draws(part, [weights])
        if self.frames is not None:
            values |= frame_draws(*_levels(self.frames, part))
        undefined = np.full(1, np.nan)
        clips = int(part.sum())
        return {"clips": clips} | {k: number(values.get(k, undefined)) for k in KEYS[1:]}

    def drawn(self, part: Part, draws: SourceDraws) -> Draws:
        """Return each metric of the clips in ``part`` in each draw, NaN if undefined."""
        values = self._clip_and_segment_draws(part, _clip_weights(draws, self.source[part]))
        if self.frames is None:
            return values
        fake = part & self.columns.fake
        totals = self._totals(fake, draws), self._totals(part & ~fake, draws)
        return values | _concatenate(
            _frame_metrics(self.frames.top, chunk) for chunk in _chunks(*totals)
        )

    def main_metrics(
        self, draws: Float[np.ndarray, "draw source"], source: Int[np.ndarray, " clip"]
    ) -> Draws:
        """Return clip AUC and segment F1 at 20 ms of all clips in each draw.

        Args:
            draws: how often each source was drawn.
            source: column of ``draws`` of each clip.
        """
        fake, logit = self.columns.fake, self.columns.logit

        def metrics(weights: Float[np.ndarray, "some clip"]) -> Draws:
            auc = auc_draws(score_counts(logit, weights * fake, weights * ~fake))
            if not self.counts:
                return {"clip/auc": auc}
            f1 = f1_draws(self.counts["segment_f1_20ms"], weights)
            return {"clip/auc": auc, "segment_f1_20ms": f1}

        return _concatenate(metrics(weights) for weights in _clip_weights(draws, source))

    def _clip_and_segment_draws(
        self, part: Part, weights: Iterable[Float[np.ndarray, "some clip"]]
    ) -> Draws:
        """Return all metrics except those that rank frames, in each draw of ``part``."""
        columns = self.columns.only(part)
        counts = {key: counts[part] for key, counts in self.counts.items()}
        values = _concatenate(
            clip_draws(columns, chunk) | {key: f1_draws(c, chunk) for key, c in counts.items()}
            for chunk in weights
        )
        if counts:
            f1 = values["segment_f1_20ms"]
            values["add_score"] = add_score_draws(values["clip/accuracy"], f1)
        return values

    def _totals(self, part: Part, draws: SourceDraws) -> "Totals":
        """Return the weight of each kind at each level of the frame score, in each draw.

        The product of the draws and a histogram for each source, in chunks of sources: the
        histograms of all sources would not fit in memory.
        """
        frames = self.frames
        assert frames is not None
        size = frames.top.size
        inside = np.flatnonzero(part[frames.clip])
        names, source = np.unique(self.source[frames.clip[inside]], return_inverse=True)
        level = frames.level[inside]
        units, counts = [], []
        for kind in frames.kinds:
            unit = max(1, int(np.gcd.reduce(kind[inside].astype(np.int64))))
            highest = np.bincount(level, kind[inside], minlength=size).max() / unit
            # single precision is twice as fast, and exact here
            exact = highest * draws.max(initial=0) < EXACT
            units.append(unit)
            counts.append(np.zeros((len(draws), size), np.float32 if exact else np.float64))
        for first in range(0, names.size, SOURCE_CHUNK):
            chunk = names[first : first + SOURCE_CHUNK]
            rows = np.flatnonzero((source >= first) & (source < first + chunk.size))
            cell = (source[rows] - first) * size + level[rows]
            weights = draws[:, chunk]
            for count, kind, unit in zip(counts, frames.kinds, units, strict=True):
                weight = kind[inside[rows]]
                if weight.any():
                    histogram = np.bincount(cell, weight, minlength=chunk.size * size) / unit
                    histogram = histogram.reshape(-1, size).astype(count.dtype)
                    count += weights.astype(count.dtype) @ histogram
        return Totals(units, counts)


@dataclass(frozen=True, eq=False)
class Totals:
    """Weight of each kind of frames at each level in each draw: ``units * counts``, all integers.

    Attributes:
        units: unit of each kind.
        counts: weight of each kind in its unit.
    """

    units: Sequence[int]
    counts: Sequence[Float[np.ndarray, "draw level"]]


def _levels(frames: Frames, part: Part) -> tuple[ScoreCounts, ScoreCounts]:
    """Return the counts of the frames of ``part``: each with weight 1, and weighted by time."""
    inside = part[frames.clip]
    score = frames.score[inside]
    fake, genuine, fake_time, genuine_time = (kind[None, inside] for kind in frames.kinds)
    return sorted_counts(score, fake, genuine), sorted_counts(score, fake_time, genuine_time)


def _chunks(*totals: Totals) -> Iterator[Float[np.ndarray, "4 some level"]]:
    """Yield the sum of ``totals`` for a few draws at a time."""
    draws, levels = totals[0].counts[0].shape
    step = max(1, WEIGHT_CHUNK // levels)
    for first in range(0, draws, step):
        rows = slice(first, first + step)
        chunk = np.zeros((len(totals[0].counts), len(range(draws)[rows]), levels))
        for total in totals:
            for whole, unit, counts in zip(chunk, total.units, total.counts, strict=True):
                whole += unit * counts[rows].astype(np.float64)
        yield chunk


def _frame_metrics(
    top: Float[np.ndarray, " level"], totals: Float[np.ndarray, "4 draw level"]
) -> Draws:
    fake, genuine, fake_time, genuine_time = totals
    return frame_draws(ScoreCounts(top, fake, genuine), ScoreCounts(top, fake_time, genuine_time))


def _clip_weights(
    draws: Float[np.ndarray, "draw source"], source: Int[np.ndarray, " clip"]
) -> Iterator[Float[np.ndarray, "some clip"]]:
    """Yield the weights of the clips, a few draws at a time."""
    rows = max(1, WEIGHT_CHUNK // max(1, source.size))
    for first in range(0, len(draws), rows):
        yield draws[first : first + rows, source].astype(np.float64)


def _concatenate(parts: Iterable[Draws]) -> Draws:
    whole = list(parts)
    return {key: np.concatenate([part[key] for part in whole]) for key in whole[0]}


def _level_edges(
    score: Float32[np.ndarray, " frame"], fake: Bool[np.ndarray, " frame"]
) -> Float32[np.ndarray, " edge"]:
    """Return the lowest score of each level, ascending.

    Every distinct score if they are few; else quantiles of the fake and of the genuine frames, so
    that both error rates change in small steps.
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
