"""From scores to an answer: the verdict on a clip, and the fake regions in it."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float32
from scipy.special import expit, logit

from fakesound.errors import InputError
from fakesound.metrics import ClipScore
from fakesound.metrics.abstention import certainty
from fakesound.timeline import GRID, FrameGrid, Region

Verdict = Literal["genuine", "fake", "uncertain"]

CONFIDENCE = 0.6  # of a certain verdict, by default
# log odds above the threshold at which a region starts, and below it at which the region ends
RISE, FALL = 0.5, 0.2
SHORTEST = 0.06  # seconds
# regions closer together than this are one
GAP = 0.1


def decide(score: float, threshold: float, confidence: float = 0.0) -> Verdict:
    """Return the verdict on a clip: "fake", "genuine" or "uncertain".

    A clip is fake when its score is above the threshold. The verdict is uncertain when its own
    probability, ``score`` for fake and ``1 - score`` for genuine, is below ``confidence``.

    Args:
        score: calibrated P(fake).
        threshold: threshold of the score.
        confidence: lowest probability of a certain verdict; 0 excludes "uncertain".
    """
    fake = score > threshold
    if certainty(np.array(score), np.array(fake)) < confidence:
        return "uncertain"
    return "fake" if fake else "genuine"


def with_prior(score: float, prior: float) -> float:
    """Return P(fake) where a share of ``prior`` of all recordings is fake.

    Args:
        score: P(fake) where half of them are, calibrated.
        prior: share of fakes.

    Raises:
        InputError: unless the prior lies between 0 and 1.
    """
    if not 0 < prior < 1:
        raise InputError(f"prior={prior}: must be between 0 and 1")
    fake, genuine = score * prior, (1 - score) * (1 - prior)
    return fake / (fake + genuine)


@dataclass(frozen=True)
class FakeRegion:
    """A span of a recording called fake.

    Attributes:
        onset, offset: start and end in seconds.
        score: mean score of its frames.
    """

    onset: float
    offset: float
    score: float


def find_regions(
    scores: Float32[np.ndarray, " frame"],
    threshold: float,
    duration: float,
    grid: FrameGrid = GRID,
) -> tuple[FakeRegion, ...]:
    """Return the fake regions of a recording, by hysteresis.

    A region contains a frame whose log odds are more than `RISE` above those of ``threshold``, and
    extends over its neighbours down to `FALL` below. Regions less than `GAP` apart are joined;
    regions under `SHORTEST` are dropped. On validation: the same recall as a plain threshold, fewer
    false regions. At threshold 1 there are no regions.
    """
    odds = logit(threshold)
    high, low = scores > expit(odds + RISE), scores > expit(odds - FALL)
    spans: list[tuple[float, float]] = []
    for region in grid.regions(low, duration):
        first, after = grid.span(region)
        if not high[first:after].any():
            continue
        if spans and region.onset - spans[-1][1] < GAP:
            spans[-1] = (spans[-1][0], region.offset)
        else:
            spans.append((region.onset, region.offset))
    regions = []
    for onset, offset in spans:
        if offset - onset >= SHORTEST - 1e-9:
            first, after = round(onset / grid.step), -(-round(offset * 1e6) // grid.step_us)
            regions.append(FakeRegion(onset, offset, float(scores[first:after].mean())))
    return tuple(regions)


def with_detected_regions(clip: ClipScore, confidence: float = CONFIDENCE) -> ClipScore:
    """Return ``clip`` with frame scores of 1 inside the regions of its detection and 0 outside."""
    grid = FrameGrid.from_seconds(clip.frame_step)
    regions: tuple[FakeRegion, ...] = ()
    if decide(clip.score, clip.clip_threshold, confidence) != "genuine":
        regions = find_regions(clip.frame_scores, clip.frame_threshold, clip.duration, grid)
    spans = [Region(region.onset, region.offset) for region in regions]
    frames = grid.targets(spans, clip.frame_scores.size).astype(np.float32)
    return replace(clip, frame_scores=frames, frame_threshold=0.5)
