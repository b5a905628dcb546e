"""From what a model says of windows to the scores of clips."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float

from fakesound.data.manifest import Clip
from fakesound.metrics import ClipScore
from fakesound.timeline import FrameGrid

# the test protocol's share of fakes among clips, for which thresholds are chosen
FAKE_SHARE = 0.5

FrameValues = Float[np.ndarray, " frame"]
# each of a length of its own
AnyFrames = Float[np.ndarray, " _"]


def stitch(values: Sequence[AnyFrames], starts: Sequence[int], frames: int) -> FrameValues:
    """Return one value for each of ``frames`` from overlapping windows.

    Windows that begin at ``starts`` are averaged with triangular weights, so that a window counts
    most in its middle, where it hears as much before as after.
    """
    total, weight = np.zeros(frames), np.zeros(frames)
    for window, first in zip(values, starts, strict=True):
        count = len(window)
        ramp = np.minimum(np.arange(count) + 1, np.arange(count)[::-1] + 1).astype(np.float64)
        total[first : first + count] += ramp * window
        weight[first : first + count] += ramp
    return total / weight


def pool_frames(evidence: FrameValues, attention: FrameValues) -> float:
    """Return the clip logit: evidence averaged with softmax attention."""
    weight = np.exp(attention - attention.max())
    return float((weight * evidence).sum() / weight.sum())


def clip_scores(
    clips: Sequence[Clip],
    grid: FrameGrid,
    fold: Callable[[Clip], str | None],
    frame_logits: Sequence[AnyFrames] | None,
    clip_logits: Sequence[float] | None,
) -> list[ClipScore]:
    """Return the scores of ``clips`` from the logits of their frames and of themselves.

    A model without a clip head scores a clip by its highest frame, smoothed over 100 ms.
    """
    scores = []
    for index, clip in enumerate(clips):
        frames = frame_logits[index] if frame_logits is not None else np.zeros(0)
        if clip_logits is not None:
            logit = clip_logits[index]
        else:
            width = min(5, len(frames))
            logit = float(np.convolve(frames, np.ones(width) / width, "valid").max())
        logit = float(np.clip(logit, -30, 30))
        scores.append(
            ClipScore(
                clip_id=clip.clip_id,
                score=1 / (1 + np.exp(-logit)),
                logit=logit,
                label=clip.label,
                attack=clip.attack,
                corpus=clip.corpus,
                domain=clip.domain,
                source_id=clip.source_id,
                regions=clip.regions,
                duration=clip.duration,
                subsets=clip.subsets,
                frame_step=grid.step,
                frame_scores=(1 / (1 + np.exp(-np.clip(frames, -30, 30)))).astype(np.float32),
                fold=fold(clip),
            )
        )
    return scores
