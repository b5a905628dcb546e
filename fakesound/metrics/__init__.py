"""Metrics of detection and localisation, their confidence intervals, and score files.

Fake is the positive class; a clip or frame is called fake if its score is above the threshold. An
undefined metric is None, never NaN or 0. Everything here is numpy; the metrics for torch are in
`fakesound.metrics.torchmetrics`.
"""

from fakesound.metrics.baselines import Prior, baseline_blocks
from fakesound.metrics.block import KEYS
from fakesound.metrics.calibration import Reliability, reliability
from fakesound.metrics.cost import cllr, min_dcf
from fakesound.metrics.localisation import event_f1, segment_f1
from fakesound.metrics.localisation_block import LOCALISATION_KEYS, localisation_block
from fakesound.metrics.ranking import auc, eer
from fakesound.metrics.resampling import (
    BootstrapMetric,
    PairedDifference,
    bootstrap_runs,
    holm,
    metrics_block,
    paired_differences,
    part_blocks,
    pooled_difference,
)
from fakesound.metrics.sample import MIN_SOURCES
from fakesound.metrics.score_file import read_scores, write_scores
from fakesound.metrics.scores import ClipScore, has_frames, logit
from fakesound.metrics.subgroups import (
    frame_recall,
    subgroups,
    subset_blocks,
    subsets,
    with_partners,
)

__all__ = [
    "KEYS",
    "LOCALISATION_KEYS",
    "MIN_SOURCES",
    "BootstrapMetric",
    "ClipScore",
    "PairedDifference",
    "Prior",
    "Reliability",
    "auc",
    "baseline_blocks",
    "bootstrap_runs",
    "cllr",
    "eer",
    "event_f1",
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
    "segment_f1",
    "subgroups",
    "subset_blocks",
    "subsets",
    "with_partners",
    "write_scores",
]
