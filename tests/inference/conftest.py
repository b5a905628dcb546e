from pathlib import Path

import numpy as np
import pytest
import torch

from fakesound.config.compose import compose_config, run_config
from fakesound.inference import Detector
from fakesound.models.build import build_detector
from fakesound.scoring.calibration import Calibrator
from fakesound.scoring.checkpoint import Checkpoint, write_safetensors
from fakesound.scoring.clip_score import HeadCalibration

RATE = 16_000
SMALL = (
    "features.bins=64",
    "backbone.dim=16",
    "backbone.depth=1",
    "backbone.stem.channels=[4,4]",
    "data.crop.seconds=0.4",
    "data.window_seconds=1.0",
    "heads.attribution=true",
)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> Path:
    """Return the file of a small detector with weights at random, whose scores vary."""
    config = run_config(compose_config(SMALL))
    detector = build_detector(config, ("codec", "vocoder"))
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: value + 0.3 * torch.randn(value.shape, generator=generator)
        if value.is_floating_point() and "running_var" not in name and "deviation" not in name
        else value
        for name, value in detector.state_dict().items()
    }
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    write_safetensors(
        path,
        Checkpoint(
            path=path,
            config=config,
            weights=weights,
            thresholds={"clip": 0.5, "frame": 0.5},
            calibrator=Calibrator("logistic", 0.5, 0.1),
            heads=HeadCalibration(("codec", "vocoder")),
        ),
    )
    return path


@pytest.fixture(scope="session")
def detector(checkpoint):
    return Detector.from_checkpoint(checkpoint)


@pytest.fixture(scope="session")
def sound():
    """Return 4.37 s of bursts over noise."""
    rng = np.random.default_rng(0)
    time = np.arange(int(4.37 * RATE)) / RATE
    tone = 0.2 * np.sin(2 * np.pi * 440 * time) * (np.sin(2 * np.pi * 1.3 * time) > 0)
    return (tone + rng.normal(0, 0.02, len(time))).astype(np.float32)
