"""The metrics block: all metrics of a set of clips, in many bootstrap draws at once."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Bool, Float, Int

from fakesound.metrics.calibration import ece_draws
from fakesound.metrics.cost import act_dcf_draws, cllr_draws, min_dcf_draws
from fakesound.metrics.counts import ScoreCounts, ratio, score_counts, weighted_mean
from fakesound.metrics.frames import FrameTable, segments
from fakesound.metrics.localisation import event_counts, frame_thresholds, segment_counts
from fakesound.metrics.ranking import auc_draws, average_precision_draws, eer_draws
from fakesound.metrics.scores import ClipScore

Block = dict[str, int | float | None]
Draws = dict[str, Float[np.ndarray, " draw"]]

DOMAIN_CLIPS = 4  # clips of each class that a domain needs for an AUC

KEYS = (
    "clips",
    "clip/accuracy",
    "clip/balanced_accuracy",
    "clip/auc",
    "clip/auc_within_domain",
    "clip/ap",
    "clip/eer",
    "clip/min_dcf",
    "clip/act_dcf",
    "clip/cllr",
    "clip/ece",
    "frame/auc",
    "frame/ap",
    "frame/eer",
    "range_eer",
    "segment_f1_20ms",
    "segment_f1_1s",
    "event_f1",
    "add_score",
)


@dataclass(frozen=True, eq=False)
class ClipColumns:
    """Columns of clips for the clip metrics.

    Attributes:
        score: P(fake).
        logit: log odds of the unrounded score, by which clips are ranked.
        fake: whether the clip is fake.
        called: whether the clip is called fake.
        domain: index of the domain.
    """

    score: Float[np.ndarray, " clip"]
    logit: Float[np.ndarray, " clip"]
    fake: Bool[np.ndarray, " clip"]
    called: Bool[np.ndarray, " clip"]
    domain: Int[np.ndarray, " clip"]

    @classmethod
    def of(cls, scores: Sequence[ClipScore]) -> "ClipColumns":
        """Return the columns of ``scores``."""
        return cls(
            score=np.array([clip.score for clip in scores], dtype=np.float64),
            logit=np.array([clip.logit for clip in scores], dtype=np.float64),
            fake=np.array([clip.fake for clip in scores], dtype=bool),
            called=np.array([clip.score > clip.clip_threshold for clip in scores], dtype=bool),
            domain=np.unique([clip.domain for clip in scores], return_inverse=True)[1],
        )

    def only(self, part: Bool[np.ndarray, " every"]) -> "ClipColumns":
        """Return the columns of the clips in ``part``."""
        return ClipColumns(*(getattr(self, item.name)[part] for item in fields(self)))


def localisation_counts(
    table: FrameTable, scores: Sequence[ClipScore]
) -> dict[str, Int[np.ndarray, "clip 3"]]:
    """Count true positives, false positives and false negatives of each clip, by F1 metric.

    Args:
        table: frames of ``scores``.
        scores: clips.
    """
    threshold = frame_thresholds(scores)
    return {
        "segment_f1_20ms": segment_counts(segments(table, 20_000), threshold),
        "segment_f1_1s": segment_counts(segments(table, 1_000_000), threshold),
        "event_f1": event_counts(table, table.regions, table.spans(table.called(threshold))),
    }


def clip_draws(clips: ClipColumns, weights: Float[np.ndarray, "draw clip"]) -> Draws:
    """Return the clip metrics in each draw, NaN if undefined."""
    fake, logit = clips.fake, clips.logit
    ranked = score_counts(logit, weights * fake, weights * ~fake)
    correct = clips.called == fake
    recall, specificity = (weighted_mean(correct, kind, weights) for kind in (fake, ~fake))
    return {
        "clip/accuracy": weighted_mean(correct, np.ones_like(fake), weights),
        "clip/balanced_accuracy": (recall + specificity) / 2,
        "clip/auc": auc_draws(ranked),
        "clip/auc_within_domain": _auc_within_domain(clips, weights),
        "clip/ap": average_precision_draws(ranked),
        "clip/eer": eer_draws(ranked),
        "clip/min_dcf": min_dcf_draws(ranked),
        "clip/act_dcf": act_dcf_draws(logit, fake, weights),
        "clip/cllr": cllr_draws(logit, fake, weights),
        "clip/ece": ece_draws(clips.score, fake, weights),
    }


def frame_draws(frames: ScoreCounts, time: ScoreCounts) -> Draws:
    """Return the ranking metrics of frames and of time in each draw, NaN if undefined.

    ``range_eer`` is the equal error rate over time (Zhang et al. 2023): missed fake time against
    genuine time called fake. It is exact, because each frame is divided into its fake and its
    genuine time.
    """
    return {
        "frame/auc": auc_draws(frames),
        "frame/ap": average_precision_draws(frames),
        "frame/eer": eer_draws(frames),
        "range_eer": eer_draws(time),
    }


def _auc_within_domain(
    clips: ClipColumns, weights: Float[np.ndarray, "draw clip"]
) -> Float[np.ndarray, " draw"]:
    """Return the mean AUC of the domains with at least 4 clips of each class, in each draw."""
    total, domains = np.zeros(len(weights)), np.zeros(len(weights))
    for domain in range(clips.domain.max(initial=-1) + 1):
        inside = clips.domain == domain
        fake, weight = clips.fake[inside], weights[:, inside]
        if min(fake.sum(), (~fake).sum()) < DOMAIN_CLIPS:
            continue
        area = auc_draws(score_counts(clips.logit[inside], weight * fake, weight * ~fake))
        defined = ~np.isnan(area)
        total[defined] += area[defined]
        domains += defined
    return ratio(total, domains)
