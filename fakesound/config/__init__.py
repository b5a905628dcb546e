"""Configuration of a run: every key with its type, default and meaning.

These classes hold the defaults; files under ``conf/`` hold differences from them. Invalid keys and
types are refused when the configuration is composed, invalid values by ``__post_init__``, before
any slow import.
"""

from fakesound.config.data import (
    AugmentConfig,
    CropConfig,
    DataConfig,
    FakeAugmentationConfig,
    PublishedConfig,
    SplitConfig,
)
from fakesound.config.model import BackboneConfig, FeaturesConfig
from fakesound.config.tasks import TASKS, HeadsConfig, LossConfig
from fakesound.config.training import DecisionConfig, RunConfig

__all__ = [
    "TASKS",
    "AugmentConfig",
    "BackboneConfig",
    "CropConfig",
    "DataConfig",
    "DecisionConfig",
    "FakeAugmentationConfig",
    "FeaturesConfig",
    "HeadsConfig",
    "LossConfig",
    "PublishedConfig",
    "RunConfig",
    "SplitConfig",
]
