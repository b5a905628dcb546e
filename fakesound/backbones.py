"""From the typed configuration to a backbone."""

from functools import partial
from typing import Any

from fakesound.config import BackboneConfig
from fakesound.errors import InputError
from fakesound.features import Spectrogram
from fakesound.models.convolutional import ConvolutionalNetwork, MakeBlock
from fakesound.models.mobilenet import InvertedResidual
from fakesound.models.residual import ResidualBlock
from fakesound.models.ssd import Ssd
from fakesound.models.stem import ConvStem, PatchStem
from fakesound.models.transformer import Transformer
from fakesound.models.vim import VisionMamba
from fakesound.timeline import FrameGrid

CONVOLUTIONAL = ("fcn_resnet", "mobilenet")
Backbone = VisionMamba | Transformer | Ssd | ConvolutionalNetwork


def build_backbone(
    config: BackboneConfig, features: Spectrogram, seconds: float, kernel: str
) -> Backbone:
    """Return the backbone for inputs of ``seconds``.

    Args:
        config: of the backbone.
        features: whose spectrograms it gets.
        seconds: length of the inputs in training.
        kernel: of selective scan and convolution, where it has these.

    Raises:
        InputError: if stem or stages do not fit the features.
    """
    windows = features.windows(FrameGrid())
    if config.kind in CONVOLUTIONAL:
        _check_halvings(config, features.bins)
        block: MakeBlock = ResidualBlock
        if config.kind == "mobilenet":
            block = partial(InvertedResidual, expand=config.expand)
        return ConvolutionalNetwork(
            block,
            features.channels,
            features.bins,
            windows,
            config.dim,
            config.stem.channels,
            config.depth,
            config.drop_path,
        )
    stem = _build_stem(config, features, windows)
    common: dict[str, Any] = {
        "stem": stem,
        "bins": features.bins,
        "steps": -(-FrameGrid().count(seconds) * windows // stem.windows),
        "dim": config.dim,
        "depth": config.depth,
        "order": config.order,
        "class_token": config.class_token,
        "position": config.position,
        "drop_path": config.drop_path,
        "expand": config.expand,
    }
    made = _build_tokens(config, common, kernel)
    made.checkpointing = config.checkpointing
    return made


def _build_tokens(
    config: BackboneConfig, common: dict[str, Any], kernel: str
) -> VisionMamba | Transformer | Ssd:
    if config.kind == "transformer":
        return Transformer(**common, head_dim=config.head_dim)
    if config.kind == "ssd":
        return Ssd(**common, state=config.state, head_dim=config.head_dim, kernel=kernel)
    return VisionMamba(
        **common,
        state=config.state,
        variant=config.variant,
        tied_decay=config.tied_decay,
        kernel=kernel,
    )


def _build_stem(
    config: BackboneConfig, features: Spectrogram, windows: int
) -> ConvStem | PatchStem:
    stem, bins = config.stem, features.bins
    if stem.kind == "conv":
        _check_halvings(config, bins)
        return ConvStem(features.channels, config.dim, bins, windows, stem.channels, stem.blocks)
    stride = stem.stride or stem.patch
    if bins % stride[0] or stride[1] % windows:
        raise InputError(
            f"backbone.stem.stride={list(stride)}: must divide the {bins} bins, and be a "
            f"multiple of the {windows} windows in a frame"
        )
    return PatchStem(features.channels, config.dim, stem.patch, stride)


def _check_halvings(config: BackboneConfig, bins: int) -> None:
    """Check that frequency can be halved as often as the convolutions do."""
    count = len(config.stem.channels)
    what, halvings = f"a stem of {count} convolutions", count
    if config.kind in CONVOLUTIONAL:
        what, halvings = f"a network of {count} stages", count + 1
    if bins % 2**halvings:
        raise InputError(
            f"features.bins={bins}: {what} needs a multiple of {2**halvings}; change it or "
            "backbone.stem.channels"
        )
