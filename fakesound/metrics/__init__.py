"""Figures of detection and localisation: definitions, intervals, thresholds, score files.

Fake is the positive class; a clip or frame is called fake when its score is above the threshold.
A figure that is undefined is None, never NaN and never a silent zero. All of this is numpy; the one
class that needs torch, `ScoreAccumulator`, is imported from its own module, ``accumulate``.
"""

from fakesound.metrics.block import KEYS, Block, metrics_block
from fakesound.metrics.bootstrap import (
    Intervals,
    PairedDifference,
    block_intervals,
    paired_difference,
)
from fakesound.metrics.breakdown import (
    BlockWithIntervals,
    Breakdown,
    Subsets,
    fold_blocks,
    subsets,
)
from fakesound.metrics.calibration import Reliability, ece, reliability
from fakesound.metrics.cost import act_dcf, cllr, min_dcf
from fakesound.metrics.localisation import add_score, event_f1, range_eer, segment_f1
from fakesound.metrics.ranking import (
    EqualError,
    OperatingPoints,
    auc,
    average_precision,
    eer,
    operating_points,
)
from fakesound.metrics.score_file import read_scores, write_scores
from fakesound.metrics.scores import ClipScore, has_frames, logit
from fakesound.metrics.thresholds import Thresholds, select_thresholds
from fakesound.metrics.trivial import Prior, trivial_blocks

__all__ = [
    "KEYS",
    "Block",
    "BlockWithIntervals",
    "Breakdown",
    "ClipScore",
    "EqualError",
    "Intervals",
    "OperatingPoints",
    "PairedDifference",
    "Prior",
    "Reliability",
    "Subsets",
    "Thresholds",
    "act_dcf",
    "add_score",
    "auc",
    "average_precision",
    "block_intervals",
    "cllr",
    "ece",
    "eer",
    "event_f1",
    "fold_blocks",
    "has_frames",
    "logit",
    "metrics_block",
    "min_dcf",
    "operating_points",
    "paired_difference",
    "range_eer",
    "read_scores",
    "reliability",
    "segment_f1",
    "select_thresholds",
    "subsets",
    "trivial_blocks",
    "write_scores",
]
