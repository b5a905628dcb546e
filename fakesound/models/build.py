"""Build a detector from the configuration."""

from collections.abc import Sequence
from pathlib import Path

import torch

from fakesound.config import FeaturesConfig, RunConfig
from fakesound.errors import InputError
from fakesound.models.backbones import build_backbone
from fakesound.models.detector import Detector
from fakesound.models.features import Spectrogram
from fakesound.models.scan import resolve_kernel
from fakesound.models.weights import InitialWeights, fit_weights, read_weights
from fakesound.timeline import GRID


def build_features(config: FeaturesConfig, sample_rate: int) -> Spectrogram:
    """Return the features, without fitted statistics.

    Raises:
        InputError: if a frame is not a whole number of windows.
    """
    hop, rest = divmod(sample_rate * config.hop_ms, 1000)
    if rest or GRID.samples(sample_rate) % hop:
        raise InputError(
            f"features.hop_ms={config.hop_ms}: at {sample_rate} Hz a frame of {GRID.step} s is not "
            "a whole number of hops; use 10"
        )
    return Spectrogram(
        config.kind,
        sample_rate,
        config.window,
        hop,
        config.bins,
        phase=config.phase,
        level=config.level,
        floor=config.floor,
        spread=config.spread,
    )


def build_detector(config: RunConfig, families: Sequence[str] = ()) -> Detector:
    """Return the detector, with initial weights seeded by the configuration.

    Args:
        config: configuration of the run.
        families: attack families of the training, for the attribution head; empty for none.

    Raises:
        InputError: if parts of the configuration contradict each other.
    """
    # does not change the random state of the caller
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)  # no other device is seeded
        features = build_features(config.features, config.data.sample_rate)
        backbone = build_backbone(
            config.backbone, features, config.data.crop.seconds, config.kernel
        )
        return Detector(
            features,
            backbone,
            features.windows(GRID),
            config.heads,
            families,
            kernel=config.kernel,
            mask=config.features.mask,
            statistics=config.backbone.has_tokens and config.backbone.stem.statistics,
        )


def build_initial(config: RunConfig) -> InitialWeights | None:
    """Return the weights of ``config.init``, fitted to the detector; None without a file.

    Raises:
        InputError: if the file cannot be used, or does not match the backbone.
    """
    source, grid = config.init.path, config.init.grid
    if source is None:
        return None
    # read first, so that errors in the file are found before a large detector is built
    file = read_weights(Path(source))
    return fit_weights(file, build_detector(config), (grid[0], grid[1]) if grid else None)


def used_kernel(config: RunConfig, module: torch.nn.Module) -> str:
    """Return the kernel that ``config.kernel`` resolves to on the device of ``module``.

    It is "none" for a detector without selective scans.
    """
    if not config.backbone.has_states and config.heads.neck == "none":
        return "none"
    device = next(module.parameters()).device
    return resolve_kernel(config.kernel, device)
