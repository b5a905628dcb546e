"""A test set laid out once, with its figures for any part of it and any draws of its sources."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from fakesound.metrics.block import (
    KEYS,
    Block,
    ClipColumns,
    Draws,
    clip_draws,
    frame_draws,
    localisation_counts,
)
from fakesound.metrics.counts import ScoreCounts, number, score_counts
from fakesound.metrics.frames import FrameTable, frame_table
from fakesound.metrics.localisation import add_score_draws, f1_draws
from fakesound.metrics.ranking import auc_draws
from fakesound.metrics.scores import ClipScore, has_frames

MIN_SOURCES = 20  # of fakes and of genuine clips, for an interval or a p-value
FRAME_LEVELS = 2000
SOURCES_AT_ONCE = 1024
WEIGHTS_AT_ONCE = 100_000  # of a block of draws, which stays in the cache of a processor
EXACT = 2**24  # whole numbers up to here add up exactly in single precision

Part = Bool[np.ndarray, " clip"]
Drawn = Float32[np.ndarray, "draw source"]


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
        counts: see `localisation_counts`; empty for a system that only scores clips.
        frames: frames of all clips; None for such a system.
    """

    columns: ClipColumns
    source: Int[np.ndarray, " clip"]
    sources: int
    counts: dict[str, Int[np.ndarray, "clip 3"]]
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
            return cls(columns, source, names.size, {}, None)
        table = frame_table(scores)
        return cls(
            columns, source, names.size, localisation_counts(table, scores), Frames.of(table)
        )

    def has_enough_sources(self, part: Part) -> bool:
        """Return whether fakes and genuine clips in ``part`` each have at least 20 sources."""
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

    def drawn(self, part: Part, draws: Drawn) -> Draws:
        """Return every figure of the clips in ``part`` in each draw, NaN where it is undefined."""
        values = self._clip_and_segment_draws(part, _few_at_once(draws, self.source[part]))
        if self.frames is None:
            return values
        fake = part & self.columns.fake
        totals = self._totals(fake, draws)
        totals += self._totals_of_genuine(part & ~fake, draws)
        return values | _stacked(_ranked(self.frames.top, some) for some in _blocks(totals))

    def main_figures(
        self, draws: Float[np.ndarray, "draw source"], source: Int[np.ndarray, " clip"]
    ) -> Draws:
        """Return clip AUC and segment F1 at 20 ms of all clips in each draw.

        Args:
            draws: how often each source was drawn.
            source: column of ``draws`` of each clip.
        """
        fake, logit = self.columns.fake, self.columns.logit
        found: list[Draws] = []
        for weights in _few_at_once(draws, source):
            found.append(
                {"clip/auc": auc_draws(score_counts(logit, weights * fake, weights * ~fake))}
            )
            if self.counts:
                found[-1] |= {"segment_f1_20ms": f1_draws(self.counts["segment_f1_20ms"], weights)}
        return _stacked(found)

    def _clip_and_segment_draws(
        self, part: Part, weights: Iterable[Float[np.ndarray, "some clip"]]
    ) -> Draws:
        """Return all figures but those that rank frames, for each draw of the clips in ``part``."""
        columns = self.columns.only(part)
        counts = {key: of_all[part] for key, of_all in self.counts.items()}
        values = _stacked(
            clip_draws(columns, some) | {key: f1_draws(at, some) for key, at in counts.items()}
            for some in weights
        )
        if counts:
            f1 = values["segment_f1_20ms"]
            values["add_score"] = add_score_draws(values["clip/accuracy"], f1)
        return values

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
            weights = draws[:, block]
            for total, kind in zip(totals, kinds, strict=True):
                if (unit := np.gcd.reduce(kind[rows].astype(np.int64))) > 0:
                    histogram = np.bincount(cell, kind[rows] / unit, minlength=block.size * size)
                    histogram = histogram.reshape(-1, size)
                    exact = weights.max() * histogram.sum(axis=0).max() < EXACT
                    # twice as fast in single precision, with the same result
                    dtype = np.float32 if exact else np.float64
                    total += unit * (weights.astype(dtype) @ histogram.astype(dtype))
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


def _blocks(
    totals: Float[np.ndarray, "4 draw level"],
) -> Iterator[Float[np.ndarray, "4 some level"]]:
    """Yield the totals of a few draws at a time."""
    rows = max(1, WEIGHTS_AT_ONCE // totals.shape[2])
    for first in range(0, totals.shape[1], rows):
        yield totals[:, first : first + rows]


def _ranked(top: Float[np.ndarray, " level"], totals: Float[np.ndarray, "4 draw level"]) -> Draws:
    fake, genuine, fake_time, genuine_time = totals
    return frame_draws(ScoreCounts(top, fake, genuine), ScoreCounts(top, fake_time, genuine_time))


def _few_at_once(
    draws: Float[np.ndarray, "draw source"], source: Int[np.ndarray, " clip"]
) -> Iterator[Float[np.ndarray, "some clip"]]:
    """Yield the weights of the clips, a few draws at a time."""
    rows = max(1, WEIGHTS_AT_ONCE // max(1, source.size))
    for first in range(0, len(draws), rows):
        yield draws[first : first + rows, source].astype(np.float64)


def _stacked(parts: Iterable[Draws]) -> Draws:
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
