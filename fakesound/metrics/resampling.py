"""A test set laid out once, for the figures of any part of it in many draws of its sources.

Parts of one test share most of their clips, the genuine ones: what these add to a figure is
worked out once for all parts.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

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
from fakesound.metrics.levels import Levels, levels, number
from fakesound.metrics.localisation import add_score_draws
from fakesound.metrics.scores import ClipScore, has_frames
from fakesound.metrics.tape import Tape, tape_of

FRAME_LEVELS = 2000
SOURCES_AT_ONCE = 1024
WEIGHTS_AT_ONCE = 2_000_000  # bounds the memory of a block of draws

Part = Bool[np.ndarray, " clip"]
Drawn = Float32[np.ndarray, "draw source"]


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
    def of(cls, tape: Tape) -> "Frames":
        """Return the frames of ``tape``."""
        edges = _level_edges(tape.frame_score, tape.frame_fake)
        order = np.argsort(-tape.frame_score, kind="stable")
        score, fake = tape.frame_score[order], tape.frame_fake[order].astype(np.float64)
        fake_time = tape.frame_fake_time[order].astype(np.float64)
        time = np.diff(tape.frame_edge)[order].astype(np.float64)
        return cls(
            clip=tape.frame_clip[order],
            score=score,
            place=edges.size - np.searchsorted(edges, score, side="right"),
            top=np.append(edges[::-1], -np.inf).astype(np.float64),
            kinds=np.stack((fake, 1 - fake, fake_time, time - fake_time)),
        )


@dataclass(frozen=True, eq=False)
class Sample:
    """A test set: clips, their sources, and what was counted in each.

    Attributes:
        columns: of the clips.
        source: number of the source of each clip.
        sources: how many there are.
        counts: of segments and events; None for a system that only scores clips.
        frames: of the clips; None likewise.
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
        tape = tape_of(scores)
        counts = LocalisationCounts.of(tape, scores)
        return cls(columns, source, names.size, counts, Frames.of(tape))

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
        time = Levels(self.frames.top, totals[2], totals[3])
        return values | frame_draws(Levels(self.frames.top, totals[0], totals[1]), time)

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


def _levels(frames: Frames, part: Part) -> tuple[Levels, Levels]:
    """Return the frames of ``part`` by score: each counting once, and by its time."""
    inside = part[frames.clip]
    kinds = frames.kinds[:, inside]
    both = levels(frames.score[inside], kinds[0::2], kinds[1::2])
    of_frames, of_time = (
        Levels(both.score, both.fake[i, None], both.genuine[i, None]) for i in (0, 1)
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
