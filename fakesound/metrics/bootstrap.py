"""How far the figures of a test set would move with other recordings.

Clips of one source are not independent: a fake and its genuine twin share a recording. So whole
sources are drawn with replacement (cluster bootstrap, Field and Welsh 2007) and every clip weighs
as often as its source was drawn. A draw is a row of weights; all draws are computed at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from fakesound.errors import InputError
from fakesound.metrics.block import KEYS, Block, Draws
from fakesound.metrics.resampling import Sample, source_draws
from fakesound.metrics.scores import ClipScore

Intervals = dict[str, list[float] | None]
BlockWithIntervals = dict[str, int | float | Intervals | None]

PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class PairedDifference:
    """How much one system exceeds another on the same clips.

    Attributes:
        a: figure of the first system.
        b: figure of the second.
        difference: the first less the second.
        low: lower end of its 95 % interval.
        high: upper end.
        p: two-sided bootstrap p-value of no difference.
    """

    a: float
    b: float
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
    sample = Sample.of(scores)
    every: Bool[np.ndarray, " clip"] = np.ones(len(scores), dtype=bool)
    if sample.sources < 2 or not draws:
        return dict.fromkeys(KEYS)
    drawn = source_draws(sample.sources, draws, seed)
    return _intervals(sample.block(every), sample.drawn(every, drawn))


def part_blocks(
    scores: Sequence[ClipScore],
    parts: Mapping[str, Sequence[ClipScore]],
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, BlockWithIntervals]:
    """Return the metrics block of each of ``parts`` of ``scores``, its intervals under ``ci``.

    The sources of all ``scores`` are drawn, the same for every part; see :func:`block_intervals`.
    With ``draws`` of 0 there are no intervals.

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
                several = np.unique(sample.source[part]).size > 1
                known[key]["ci"] = _intervals(point, sample.drawn(part, drawn) if several else {})
        blocks[name] = {**known[key]}
    return blocks


def _intervals(point: Block, drawn: Draws) -> Intervals:
    intervals: Intervals = dict.fromkeys(KEYS)
    for key, values in drawn.items():
        defined = values[~np.isnan(values)]
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
    return paired_differences(scores_a, scores_b, draws, seed).get(key)


def paired_differences(
    scores_a: Sequence[ClipScore],
    scores_b: Sequence[ClipScore],
    draws: int = 1000,
    seed: int = 0,
) -> dict[str, PairedDifference]:
    """Return :func:`paired_difference` of every figure that both systems have, by its key.

    Raises:
        InputError: naming a clip that only one system scored or that they describe differently.
    """
    scores_b = _matched(scores_a, scores_b)
    samples = [Sample.of(scores) for scores in (scores_a, scores_b)]
    every: Bool[np.ndarray, " clip"] = np.ones(len(scores_a), dtype=bool)
    if samples[0].sources < 2:
        return {}
    a, b = (sample.block(every) for sample in samples)
    draws_of_both = source_draws(samples[0].sources, draws, seed)
    drawn_a, drawn_b = (sample.drawn(every, draws_of_both) for sample in samples)
    differences = {}
    for key in KEYS[1:]:
        value_a, value_b = a[key], b[key]
        if value_a is not None and value_b is not None:
            differences[key] = difference_in_draws(value_a, value_b, drawn_a[key] - drawn_b[key])
    return differences


def difference_in_draws(a: float, b: float, change: Float[np.ndarray, " draw"]) -> PairedDifference:
    """Return the difference of two figures, with interval and p-value by the draws ``change``."""
    change = change[~np.isnan(change)]
    low, high = np.percentile(change, PERCENTILES)
    tail = min((change <= 0).sum(), (change >= 0).sum())
    p = min(1.0, 2 * (int(tail) + 1) / (change.size + 1))
    return PairedDifference(a, b, a - b, float(low), float(high), p)


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
