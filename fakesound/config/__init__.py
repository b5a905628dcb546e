"""Configuration of a run: every key with its type, default and meaning.

The defaults of these classes are those of a run; files under ``conf/`` hold differences from them.
A wrong key or type is refused while the configuration is composed, a wrong value by
``__post_init__``; nothing heavy is imported before that.
"""

from fakesound.config.data import (
    AugmentConfig,
    CropConfig,
    DataConfig,
    FakeAugmentationConfig,
    PublishedConfig,
    SplitConfig,
)
from fakesound.config.model import BackboneConfig, FeaturesConfig, StemConfig
from fakesound.config.tasks import TASKS, HeadsConfig, LossConfig
from fakesound.config.training import (
    DecisionConfig,
    InitConfig,
    LoggerConfig,
    OptimConfig,
    ReportConfig,
    RunConfig,
)

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
    "InitConfig",
    "LoggerConfig",
    "LossConfig",
    "OptimConfig",
    "PublishedConfig",
    "ReportConfig",
    "RunConfig",
    "SplitConfig",
    "StemConfig",
]
