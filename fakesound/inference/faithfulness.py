"""How far explanations can be believed: measured against the true regions, and the scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fakesound.data.audio import read_audio
from fakesound.data.manifest import Clip
from fakesound.errors import InputError
from fakesound.inference.detector import Detector
from fakesound.inference.explanation import LONGEST, Occlusion
from fakesound.models.build import GRID


@dataclass(frozen=True)
class Faithfulness:
    """What explanations are worth, means over clips.

    Attributes:
        clips: their number.
        pointing: share whose most relevant cell lies on a fake frame.
        chance: the same for a cell at random.
        deletion: mean of the deletion curve less its start; the lower, the more faithful.
        random: the same where cells are hidden in random order.
    """

    clips: int
    pointing: float
    chance: float
    deletion: float
    random: float


def measure_faithfulness(
    detector: Detector,
    clips: Sequence[Clip],
    most: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Faithfulness:
    """Return the faithfulness on up to ``most`` of ``clips`` that are fake in part.

    Raises:
        InputError: if there are none.
    """
    partial = [
        clip
        for clip in clips
        if clip.regions
        and clip.duration <= LONGEST
        and sum(region.duration for region in clip.regions) < 0.95 * clip.duration
    ]
    if not partial:
        raise InputError("--manifest: none of its test clips is fake in part")
    rng = np.random.default_rng(0)
    chosen = [partial[i] for i in sorted(rng.permutation(len(partial))[:most])]
    rows = []
    for number, clip in enumerate(chosen):
        occlusion = Occlusion(detector, read_audio(clip.location, detector.rate))
        explanation = occlusion.explain()
        fake = GRID.targets(clip.regions, GRID.count(clip.duration))
        cells = explanation.relevance.shape[1]
        spans = np.round(explanation.seconds / GRID.step).astype(int)
        touched = [fake[spans[c] : max(spans[c + 1], spans[c] + 1)].any() for c in range(cells)]
        curves = [
            occlusion.deletion_curve(order)
            for order in (explanation.order(), rng.permutation(explanation.relevance.size))
        ]
        fall, random = (float(curve[1:].mean() - curve[0]) for curve in curves)
        rows.append((explanation.points_at(fake), float(np.mean(touched)), fall, random))
        progress(number + 1, len(chosen))
    pointing, chance, deletion, random = (
        float(np.mean(column)) for column in zip(*rows, strict=True)
    )
    return Faithfulness(len(rows), pointing, chance, deletion, random)
