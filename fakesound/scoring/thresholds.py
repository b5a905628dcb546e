"""Select decision thresholds on validation clips."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from fakesound.config import DecisionConfig
from fakesound.metrics.block import ClipColumns
from fakesound.metrics.counts import ScoreCounts, point_counts, ratio, sorted_counts
from fakesound.metrics.frames import frame_table, segments
from fakesound.metrics.scores import ClipScore, has_frames

UNDECIDED = 0.5
# share of fakes for which frame thresholds are selected: that of the test protocol
FAKE_SHARE = 0.5


@dataclass(frozen=True)
class Thresholds:
    """Thresholds above which a score means "fake".

    Attributes:
        clip: threshold of the clip score.
        frame: threshold of a frame's score.
    """

    clip: float
    frame: float

    def apply(self, scores: Sequence[ClipScore]) -> list[ClipScore]:
        """Return ``scores`` with these thresholds."""
        return [
            replace(clip, clip_threshold=self.clip, frame_threshold=self.frame) for clip in scores
        ]


def select_thresholds(
    scores: Sequence[ClipScore], decision: DecisionConfig | None = None
) -> Thresholds:
    """Select the best thresholds on the validation clips.

    The clip threshold maximises balanced accuracy, the frame threshold segment F1 at 20 ms. The
    candidates are midway between neighbouring scores; among equally good ones, the candidate
    nearest the middle of their widest unbroken range is selected.

    A threshold is 0.5 if it cannot be fitted: without fake or without genuine clips (segments, for
    the frame threshold), and for frames of a system that only scores clips.

    Args:
        scores: scores of the validation clips.
        decision: conditions of the thresholds. With ``fake_time``, the frame threshold is selected
            without wholly fake clips.

    Raises:
        InputError: if only some clips have frame scores.
    """
    decision = decision or DecisionConfig()
    clips = ClipColumns.of(scores)
    clip = point_counts(clips.score, clips.fake)
    quality = _limited(clip, _balanced_accuracy(clip), decision.false_alarms)
    clip_threshold = _best(clip, quality)
    if not has_frames(scores):
        return Thresholds(clip_threshold, UNDECIDED)
    parts = [score for score in scores if score.kind != "whole"]
    if decision.fake_time is not None and any(score.fake for score in parts):
        frames = segments(frame_table(parts), 20_000)
        weight = _weights(frames.fake, decision.fake_time)
    else:
        frames = segments(frame_table(scores), 20_000)
        weight = _weights(clips.fake, FAKE_SHARE)[frames.clip]
    # sums of these weights depend on the order of tied scores
    order = np.argsort(-frames.score, kind="stable")
    weight, fake = weight[order], frames.fake[order]
    # the score of a segment is that of its highest frame, so these are the frame thresholds
    frame = sorted_counts(
        frames.score[order].astype(np.float64), (weight * fake)[None], (weight * ~fake)[None]
    )
    return Thresholds(clip_threshold, _best(frame, _f1(frame)))


def _weights(fake: Bool[np.ndarray, " item"], share: float) -> Float[np.ndarray, " item"]:
    """Return weights of clips or segments that give fakes a ``share``, on which F1 depends."""
    weight = np.ones(fake.size)
    fakes, genuines = int(fake.sum()), int((~fake).sum())
    if fakes and genuines:
        weight[~fake] = fakes * (1 - share) / (share * genuines)
    return weight


def _limited(
    counts: ScoreCounts, quality: Float[np.ndarray, " cut"], false_alarms: float | None
) -> Float[np.ndarray, " cut"]:
    """Set ``quality`` to -1 where more genuine clips than allowed are called fake."""
    if false_alarms is None:
        return quality
    false_positives = _positives(counts)[1]
    return np.where(false_positives <= false_alarms * false_positives[-1], quality, -1.0)


def _balanced_accuracy(counts: ScoreCounts) -> Float[np.ndarray, " cut"]:
    true, false = _positives(counts)
    # scaled by both totals, it is a whole number: ties are exact
    scaled: Float[np.ndarray, " cut"] = true * false[-1] + (false[-1] - false) * true[-1]
    return scaled


def _f1(counts: ScoreCounts) -> Float[np.ndarray, " cut"]:
    true, false = _positives(counts)
    return ratio(2 * true, true + false + true[-1])


def _positives(counts: ScoreCounts) -> tuple[Float[np.ndarray, " cut"], Float[np.ndarray, " cut"]]:
    """Return true and false positives when the first 0, 1, 2, ... levels are called fake."""
    return np.append(0.0, counts.true_positives[0]), np.append(0.0, counts.false_positives[0])


def _best(counts: ScoreCounts, quality: Float[np.ndarray, " cut"]) -> float:
    """Return the best threshold midway between scores, nearest the middle of the widest range."""
    if not (counts.fake.any() and counts.genuine.any()):
        return UNDECIDED
    # the threshold of cut i lies in [bound[i + 1], bound[i]); none can lie below a score of 0
    bound = np.concatenate(([1.0], counts.score, [0.0]))
    middle = (bound[:-1] + bound[1:]) / 2
    possible = np.append(np.full(counts.score.size, True), counts.score[-1] > 0)
    best = possible & (quality == quality[possible].max())
    ranges = np.flatnonzero(np.diff(best.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)
    high, low = bound[ranges].T
    widest = int(np.argmax(high - low))
    cuts = middle[slice(*ranges[widest])]
    return float(cuts[np.argmin(np.abs(cuts - (high[widest] + low[widest]) / 2))])
