"""Decision thresholds, chosen on validation clips and then frozen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from fakesound.metrics.block import ClipColumns
from fakesound.metrics.counts import ScoreCounts, point_counts, ratio, score_counts
from fakesound.metrics.frames import frame_table, segments
from fakesound.metrics.scores import ClipScore, has_frames

UNDECIDED = 0.5


@dataclass(frozen=True)
class Thresholds:
    """Scores above these are called fake.

    Attributes:
        clip: threshold of the clip score.
        frame: threshold of a frame's score.
    """

    clip: float
    frame: float

    def applied(self, scores: Sequence[ClipScore]) -> list[ClipScore]:
        """Return ``scores`` with these thresholds in place of their own."""
        return [
            replace(clip, clip_threshold=self.clip, frame_threshold=self.frame) for clip in scores
        ]


@dataclass(frozen=True)
class OperatingPoint:
    """Conditions of use for which thresholds are chosen.

    Attributes:
        false_alarms: largest share of genuine validation clips called fake; None: no limit.
        fake_time: share of the time of partial fakes and genuine clips that is fake, for the frame
            threshold; wholly fake clips then do not count. None: all clips, as they are.
    """

    false_alarms: float | None = None
    fake_time: float | None = None


def select_thresholds(
    scores: Sequence[ClipScore],
    fake_share: float | None = None,
    point: OperatingPoint = OperatingPoint(),  # frozen
) -> Thresholds:
    """Return the thresholds that serve the validation clips best.

    The clip threshold has the highest balanced accuracy, the frame threshold the highest segment
    F1 at 20 ms. Every threshold midway between two neighbouring scores is tried; of those equally
    good, the one nearest the middle of their widest unbroken range is taken.

    A threshold is 0.5 where the clips cannot teach one: without fakes or without genuines (for
    frames: fake or genuine segments), and for frames of a system that only scores clips.

    Args:
        scores: scores of the validation clips.
        fake_share: share of fakes among the clips that the thresholds are meant for; genuine clips
            are weighed to give it. F1 depends on it, balanced accuracy does not. None: as it is.
        point: conditions of use; a given ``fake_time`` replaces ``fake_share``.

    Raises:
        InputError: if only some clips have frame scores.
    """
    clips = ClipColumns.of(scores)
    clip = point_counts(clips.score, clips.fake)
    clip_threshold = _best(clip, _limited(clip, _balanced_accuracy(clip), point.false_alarms))
    if not has_frames(scores):
        return Thresholds(clip_threshold, UNDECIDED)
    parts = [score for score in scores if score.kind != "whole"]
    if point.fake_time is not None and any(score.fake for score in parts):
        found = segments(frame_table(parts), 20_000)
        weight = _weights(found.fake, point.fake_time)
    else:
        found = segments(frame_table(scores), 20_000)
        weight = _weights(clips.fake, fake_share)[found.clip]
    # a segment's score is its highest frame, so this sweep is the sweep over frame thresholds
    frame = score_counts(
        found.score.astype(np.float64), (weight * found.fake)[None], (weight * ~found.fake)[None]
    )
    return Thresholds(clip_threshold, _best(frame, _f1(frame)))


def _weights(fake: Bool[np.ndarray, " item"], share: float | None) -> Float[np.ndarray, " item"]:
    """Return weights of clips or segments by which fakes make up ``share``; ones for None."""
    weight = np.ones(fake.size)
    fakes, genuines = int(fake.sum()), int((~fake).sum())
    if share and fakes and genuines:
        weight[~fake] = fakes * (1 - share) / (share * genuines)
    return weight


def _limited(
    at: ScoreCounts, quality: Float[np.ndarray, " cut"], false_alarms: float | None
) -> Float[np.ndarray, " cut"]:
    """Return ``quality``, below all others where too many genuine clips are called fake."""
    if false_alarms is None:
        return quality
    alarmed = _calls(at)[1]
    return np.where(alarmed <= false_alarms * alarmed[-1], quality, -1.0)


def _balanced_accuracy(at: ScoreCounts) -> Float[np.ndarray, " cut"]:
    caught, alarmed = _calls(at)
    # scaled by both totals it stays in whole numbers, where equal is equal
    scaled: Float[np.ndarray, " cut"]
    scaled = caught * alarmed[-1] + (alarmed[-1] - alarmed) * caught[-1]
    return scaled


def _f1(at: ScoreCounts) -> Float[np.ndarray, " cut"]:
    caught, alarmed = _calls(at)
    return ratio(2 * caught, caught + alarmed + caught[-1])


def _calls(at: ScoreCounts) -> tuple[Float[np.ndarray, " cut"], Float[np.ndarray, " cut"]]:
    """Return the fakes and the genuines called fake when the first 0, 1, 2, ... levels are."""
    caught, alarmed = (np.append(0.0, np.cumsum(weight[0])) for weight in (at.fake, at.genuine))
    return caught, alarmed


def _best(at: ScoreCounts, quality: Float[np.ndarray, " cut"]) -> float:
    """Return the best threshold midway between scores, nearest the middle of the widest range."""
    if not (at.fake.any() and at.genuine.any()):
        return UNDECIDED
    # the threshold of cut i lies in [bound[i + 1], bound[i]); nothing lies below a score of zero
    bound = np.concatenate(([1.0], at.score, [0.0]))
    middle = (bound[:-1] + bound[1:]) / 2
    possible = np.append(np.full(at.score.size, True), at.score[-1] > 0)
    best = possible & (quality == quality[possible].max())
    ranges = np.flatnonzero(np.diff(best.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    high, low = bound[ranges].T
    widest = int(np.argmax(high - low))
    cuts = middle[slice(*ranges[widest])]
    return float(cuts[np.argmin(np.abs(cuts - (high[widest] + low[widest]) / 2))])
