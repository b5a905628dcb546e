"""How far the figures of a test set would move with other recordings.

Clips of one source are not independent: a fake and its genuine twin share a recording. So whole
sources are drawn with replacement (cluster bootstrap, Field and Welsh 2007) and every clip weighs
as often as its source was drawn. A draw is a row of weights; all draws are computed at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from fakesound.errors import InputError
from fakesound.metrics.block import (
    KEYS,
    ClipColumns,
    Draws,
    LocalisationCounts,
    clip_draws,
    frame_draws,
    localisation_draws,
    metrics_block,
)
from fakesound.metrics.levels import Levels
from fakesound.metrics.localisation import add_score_draws
from fakesound.metrics.scores import ClipScore, has_frames
from fakesound.metrics.tape import Tape, tape_of

Intervals = dict[str, list[float] | None]

PERCENTILES = (2.5, 97.5)
FRAME_LEVELS = 2000
SOURCES_AT_ONCE = 1024
WEIGHTS_AT_ONCE = 2_000_000  # bounds the memory of a block of draws


@dataclass(frozen=True)
class PairedDifference:
    """How much one system exceeds another on the same clips.

    Attributes:
        difference: figure of the first system less that of the second.
        low: lower end of its 95 % interval.
        high: upper end.
        p: two-sided bootstrap p-value of no difference.
    """

    difference: float
    low: float
    high: float
    p: float


def block_intervals(
    scores: Sequence[ClipScore], draws: int = 1000, seed: int = 0
) -> dict[str, list[float] | None]:
    """Return the 95 % percentile interval ``[low, high]`` of every figure of the metrics block.

    Sources are resampled, never clips or frames alone. Exact but for the ranking of frames, which
    are gathered into some 2000 levels where their scores are more than that. Draws in which a
    figure is undefined are left out. None where the figure itself is undefined, where there is
    only one source, and for ``clips``.

    Raises:
        InputError: if only some clips have frame scores.
    """
    point = metrics_block(scores)
    sources, source = _sources(scores)
    intervals: Intervals = dict.fromkeys(KEYS)
    if sources < 2:
        return intervals
    values = _figures(scores, source, source_draws(sources, draws, seed))
    for key, drawn in values.items():
        defined = drawn[~np.isnan(drawn)]
        if point[key] is not None and defined.size:
            intervals[key] = np.percentile(defined, PERCENTILES).tolist()
    return intervals


def paired_difference(
    scores_a: Sequence[ClipScore],
    scores_b: Sequence[ClipScore],
    key: str,
    draws: int = 1000,
    seed: int = 0,
) -> PairedDifference | None:
    """Return by how much system a exceeds system b in the figure ``key``.

    Clips are matched by ``clip_id``, and both systems see the same draws of sources. The p-value
    is twice the smaller share of draws on one side of zero, with one draw added to either side, so
    it is never below ``2 / (draws + 1)``. None where a figure is undefined, or with one source.

    Raises:
        InputError: naming a clip that only one system scored or that they describe differently, or
            an unknown key.
    """
    if key not in KEYS[1:]:
        raise InputError(f"key: {key!r} is not one of {', '.join(KEYS[1:])}")
    scores_b = _matched(scores_a, scores_b)
    a, b = metrics_block(scores_a)[key], metrics_block(scores_b)[key]
    sources, source = _sources(scores_a)
    if a is None or b is None or sources < 2:
        return None
    drawn = source_draws(sources, draws, seed)
    change = _figures(scores_a, source, drawn)[key] - _figures(scores_b, source, drawn)[key]
    change = change[~np.isnan(change)]
    low, high = np.percentile(change, PERCENTILES)
    tail = min((change <= 0).sum(), (change >= 0).sum())
    p = min(1.0, 2 * (int(tail) + 1) / (change.size + 1))
    return PairedDifference(a - b, float(low), float(high), p)


def source_draws(sources: int, draws: int, seed: int) -> Float32[np.ndarray, "draw source"]:
    """Return how often each source occurs in each draw of ``sources`` with replacement."""
    generator = np.random.default_rng(seed)
    counts = np.empty((draws, sources), dtype=np.float32)
    for row in counts:
        row[:] = np.bincount(generator.integers(sources, size=sources), minlength=sources)
    return counts


def _sources(scores: Sequence[ClipScore]) -> tuple[int, Int[np.ndarray, " clip"]]:
    """Return the number of sources, and the source of each clip as a number."""
    names, source = np.unique([clip.source_id for clip in scores], return_inverse=True)
    return names.size, source


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
    scores: Sequence[ClipScore],
    source: Int[np.ndarray, " clip"],
    drawn: Float32[np.ndarray, "draw source"],
) -> Draws:
    """Return every figure of the block in each draw, NaN where it is undefined."""
    columns = ClipColumns.of(scores)
    if not has_frames(scores):
        return _stacked(clip_draws(columns, weights) for weights in _weights(drawn, source))
    tape = tape_of(scores)
    counts = LocalisationCounts.of(tape, scores)
    values = _stacked(
        clip_draws(columns, weights) | localisation_draws(counts, weights)
        for weights in _weights(drawn, source)
    )
    values["add_score"] = add_score_draws(values["clip/accuracy"], values["segment_f1_20ms"])
    return values | frame_draws(*_frame_levels(tape, source, drawn))


def _weights(
    drawn: Float32[np.ndarray, "draw source"], source: Int[np.ndarray, " clip"]
) -> Iterator[Float[np.ndarray, "some clip"]]:
    """Yield the weights of the clips, a few draws at a time."""
    rows = max(1, WEIGHTS_AT_ONCE // source.size)
    for first in range(0, len(drawn), rows):
        yield drawn[first : first + rows, source].astype(np.float64)


def _stacked(parts: Iterator[Draws]) -> Draws:
    whole = list(parts)
    return {key: np.concatenate([part[key] for part in whole]) for key in whole[0]}


def _frame_levels(
    tape: Tape, source: Int[np.ndarray, " clip"], drawn: Float32[np.ndarray, "draw source"]
) -> tuple[Levels, Levels]:
    """Return the frames and the time at each level of the frame score, in each draw.

    A histogram of each source times the draws of that source; sources go in blocks, because
    thousands of histograms of thousands of levels would not fit.
    """
    edges = _level_edges(tape.frame_score, tape.frame_fake)
    place = edges.size - np.searchsorted(edges, tape.frame_score, side="right")
    frame_source = source[tape.frame_clip]
    order = np.argsort(frame_source, kind="stable")
    place, frame_source = place[order], frame_source[order]
    fake, fake_time, time = (
        values[order].astype(np.float64)
        for values in (tape.frame_fake, tape.frame_fake_time, np.diff(tape.frame_edge))
    )
    kinds = (fake, 1 - fake, fake_time, time - fake_time)
    size = edges.size + 1
    totals = [np.zeros((len(drawn), size)) for _ in kinds]
    for first in range(0, drawn.shape[1], SOURCES_AT_ONCE):
        block = drawn[:, first : first + SOURCES_AT_ONCE].astype(np.float64)
        rows = slice(*np.searchsorted(frame_source, (first, first + block.shape[1])))
        cell = (frame_source[rows] - first) * size + place[rows]
        for total, kind in zip(totals, kinds, strict=True):
            histogram = np.bincount(cell, kind[rows], minlength=block.shape[1] * size)
            total += block @ histogram.reshape(-1, size)
    score = np.append(edges[::-1], -np.inf)
    return Levels(score, totals[0], totals[1]), Levels(score, totals[2], totals[3])


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
