"""Figures of detection and localisation: definitions, intervals, score files.

Fake is the positive class; a clip or frame is called fake when its score is above the threshold.
A figure that is undefined is None, never NaN and never a silent zero. All of this is numpy; what
needs torch is imported from its own module, `fakesound.metrics.torchmetrics`.
"""

from fakesound.metrics.baselines import Prior, baseline_blocks
from fakesound.metrics.block import KEYS, Block
from fakesound.metrics.calibration import Reliability, reliability
from fakesound.metrics.cost import cllr, min_dcf
from fakesound.metrics.localisation import event_f1, segment_f1
from fakesound.metrics.localisation_figures import LOCALISATION_KEYS, localisation_block
from fakesound.metrics.ranking import EqualError, auc, eer
from fakesound.metrics.resampling import (
    BlockWithIntervals,
    Intervals,
    PairedDifference,
    Resampled,
    holm,
    metrics_block,
    paired_differences,
    part_blocks,
    pooled_difference,
    resampled,
)
from fakesound.metrics.sample import MIN_SOURCES
from fakesound.metrics.score_file import read_scores, write_scores
from fakesound.metrics.scores import ClipScore, has_frames, logit
from fakesound.metrics.subgroups import (
    Subgroups,
    Subsets,
    fold_blocks,
    frame_recall,
    subgroup_blocks,
    subgroups,
    subsets,
    with_partners,
)

__all__ = [
    "KEYS",
    "LOCALISATION_KEYS",
    "MIN_SOURCES",
    "Block",
    "BlockWithIntervals",
    "ClipScore",
    "EqualError",
    "Intervals",
    "PairedDifference",
    "Prior",
    "Reliability",
    "Resampled",
    "Subgroups",
    "Subsets",
    "auc",
    "baseline_blocks",
    "cllr",
    "eer",
    "event_f1",
    "fold_blocks",
    "frame_recall",
    "has_frames",
    "holm",
    "localisation_block",
    "logit",
    "metrics_block",
    "min_dcf",
    "paired_differences",
    "part_blocks",
    "pooled_difference",
    "read_scores",
    "reliability",
    "resampled",
    "segment_f1",
    "subgroup_blocks",
    "subgroups",
    "subsets",
    "with_partners",
    "write_scores",
]
