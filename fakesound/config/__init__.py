"""The configuration: every key, its type, its default and what it may be.

Groups under ``conf/`` fill these in. A wrong key or type is rejected while the configuration is
composed, a wrong value by ``__post_init__`` below; nothing heavy is imported before that.
"""

from fakesound.config.data import (
    AugmentConfig,
    CropConfig,
    DataConfig,
    PublishedConfig,
    SplitConfig,
    VariationConfig,
)
from fakesound.config.heads import TASKS, HeadsConfig
from fakesound.config.launch import SageMakerConfig
from fakesound.config.loss import LossConfig
from fakesound.config.model import BackboneConfig, FeaturesConfig, StemConfig
from fakesound.config.run import LoggerConfig, OptimConfig, ReportConfig, RunConfig

__all__ = [
    "TASKS",
    "AugmentConfig",
    "BackboneConfig",
    "CropConfig",
    "DataConfig",
    "FeaturesConfig",
    "HeadsConfig",
    "LoggerConfig",
    "LossConfig",
    "OptimConfig",
    "PublishedConfig",
    "ReportConfig",
    "RunConfig",
    "SageMakerConfig",
    "SplitConfig",
    "StemConfig",
    "VariationConfig",
]
