"""Build a detector from the typed configuration."""

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
    """Return the features, statistics not fitted yet.

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
    """Return the detector, seeded by the configuration.

    Args:
        config: configuration of the run.
        families: attack families of the training, for the attribution head; empty for none.

    Raises:
        InputError: if parts of the configuration do not fit together.
    """
    # the caller's random state stays as it is
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
    """Return the weights that ``config.init`` names, fitted to its detector; None if it does not.

    Raises:
        InputError: if the file cannot be used, or does not fit the backbone.
    """
    source, grid = config.init.path, config.init.grid
    if source is None:
        return None
    # read first: that says what is wrong with a file sooner than a large detector is made
    file = read_weights(Path(source))
    return fit_weights(file, build_detector(config), (grid[0], grid[1]) if grid else None)


def used_kernel(config: RunConfig, module: torch.nn.Module) -> str:
    """Return which selective scan ``config.kernel`` stands for on the device of ``module``.

    "none" where nothing scans.
    """
    if not config.backbone.has_states and config.heads.neck == "none":
        return "none"
    device = next(module.parameters()).device
    return resolve_kernel(config.kernel, device)
