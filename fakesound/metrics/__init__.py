"""Figures of detection and localisation: definitions, intervals, thresholds, score files.

Fake is the positive class; a clip or frame is called fake when its score is above the threshold.
A figure that is undefined is None, never NaN and never a silent zero. All of this is numpy; what
needs torch is imported from its own module: ``accumulate`` (`ScoreAccumulator`) and ``modular``
(the figures as torchmetrics).
"""

from fakesound.metrics.block import KEYS, Block, metrics_block
from fakesound.metrics.bootstrap import (
    BlockWithIntervals,
    Intervals,
    PairedDifference,
    block_intervals,
    paired_difference,
    paired_differences,
    part_blocks,
)
from fakesound.metrics.breakdown import (
    Breakdown,
    Partitions,
    Subsets,
    fold_blocks,
    frame_recall,
    partition_blocks,
    partitions,
    subsets,
)
from fakesound.metrics.calibration import Reliability, ece, reliability
from fakesound.metrics.cost import act_dcf, cllr, min_dcf
from fakesound.metrics.localisation import (
    add_score,
    event_f1,
    event_f1_sed_eval,
    range_eer,
    segment_f1,
)
from fakesound.metrics.localisation_figures import LOCALISATION_KEYS, localisation_block
from fakesound.metrics.pooled import Resampled, pooled_difference, resampled
from fakesound.metrics.proposals import region_ap, region_map, region_recall
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
from fakesound.metrics.segment_eer import segment_eer_partialspoof, segment_eer_point
from fakesound.metrics.timing import TimingError, false_alarm_minutes_per_hour, timing_error
from fakesound.metrics.trivial import Prior, trivial_blocks
from fakesound.scoring.thresholds import Thresholds, select_thresholds

__all__ = [
    "KEYS",
    "LOCALISATION_KEYS",
    "Block",
    "BlockWithIntervals",
    "Breakdown",
    "ClipScore",
    "EqualError",
    "Intervals",
    "OperatingPoints",
    "PairedDifference",
    "Partitions",
    "Prior",
    "Reliability",
    "Resampled",
    "Subsets",
    "Thresholds",
    "TimingError",
    "act_dcf",
    "add_score",
    "auc",
    "average_precision",
    "block_intervals",
    "cllr",
    "ece",
    "eer",
    "event_f1",
    "event_f1_sed_eval",
    "false_alarm_minutes_per_hour",
    "fold_blocks",
    "frame_recall",
    "has_frames",
    "localisation_block",
    "logit",
    "metrics_block",
    "min_dcf",
    "operating_points",
    "paired_difference",
    "paired_differences",
    "part_blocks",
    "partition_blocks",
    "partitions",
    "pooled_difference",
    "range_eer",
    "read_scores",
    "region_ap",
    "region_map",
    "region_recall",
    "reliability",
    "resampled",
    "segment_eer_partialspoof",
    "segment_eer_point",
    "segment_f1",
    "select_thresholds",
    "subsets",
    "timing_error",
    "trivial_blocks",
    "write_scores",
]
