"""Two configurations over several runs: the mean of their differences, sources drawn jointly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fakesound.metrics.bootstrap import PairedDifference, difference_in_draws
from fakesound.metrics.levels import levels, number
from fakesound.metrics.localisation import f1_draws
from fakesound.metrics.ranking import auc_draws
from fakesound.metrics.resampling import Sample, source_draws
from fakesound.metrics.scores import ClipScore

POOLED_KEYS = ("clip/auc", "segment_f1_20ms")
WEIGHTS_AT_ONCE = 2_000_000  # bounds the memory of a block of draws


@dataclass(frozen=True, eq=False)
class Resampled:
    """A figure of one run.

    Attributes:
        value: on its clips.
        drawn: on each draw of the sources, NaN where it is undefined.
    """

    value: float
    drawn: Float[np.ndarray, " draw"]


def resampled(
    runs: Sequence[Sequence[ClipScore]], draws: int = 1000, seed: int = 0
) -> list[dict[str, Resampled]]:
    """Return clip AUC and segment F1 at 20 ms of each run, where they are defined.

    The sources of all runs are drawn together, so that figures of two runs may be subtracted draw
    by draw. A run without clips has no figure, and neither has any run where there is but one
    source.

    Raises:
        InputError: if only some clips of a run have frame scores.
    """
    names = sorted({clip.source_id for scores in runs for clip in scores})
    if len(names) < 2:
        return [{} for _ in runs]
    drawn = source_draws(len(names), draws, seed)
    place = {name: index for index, name in enumerate(names)}
    return [
        _figures(scores, drawn[:, [place[clip.source_id] for clip in scores]]) if scores else {}
        for scores in runs
    ]


def pooled_difference(pairs: Sequence[tuple[Resampled, Resampled]]) -> PairedDifference:
    """Return by how much the first of each pair exceeds the second, in the mean of all ``pairs``.

    The figures must come from one call of :func:`resampled`: a draw is then the same recordings
    in every run. Interval and p-value speak of other recordings for these trained detectors; what
    another seed of training would give, they do not know. With one pair it is
    :func:`~fakesound.metrics.paired_difference`.
    """
    first, second = (float(np.mean([pair[side].value for pair in pairs])) for side in (0, 1))
    change = np.mean([a.drawn - b.drawn for a, b in pairs], axis=0)
    return difference_in_draws(first, second, change)


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
    figures = {"clip/auc": auc_draws(levels(logit, weights * fake, weights * ~fake))}
    if sample.counts is not None:
        figures["segment_f1_20ms"] = f1_draws(sample.counts.segment_20ms, weights)
    return figures
