"""Build a backbone from its configuration."""

from collections.abc import Callable
from functools import partial

from torch import nn

from fakesound.config import BackboneConfig
from fakesound.config.model import KINDS
from fakesound.errors import InputError
from fakesound.models.convolutional import AtrousPyramid, ConvolutionalNetwork, MakeBlock
from fakesound.models.features import PHASE, Spectrogram
from fakesound.models.residual import InvertedResidual, ResidualBlock
from fakesound.models.ssd import Ssd
from fakesound.models.stem import ConvStem, PatchStem
from fakesound.models.transformer import Transformer
from fakesound.models.vim import VisionMamba
from fakesound.timeline import FrameGrid

# constructors of token backbones, which take common arguments and the keys of their kind
TOKENS: dict[str, Callable[..., nn.Module]] = {
    "vim": VisionMamba,
    "transformer": Transformer,
    "ssd": Ssd,
}
BLOCKS: dict[str, MakeBlock] = {
    "fcn_resnet": ResidualBlock,
    "mobilenet": InvertedResidual,
    "deeplab": InvertedResidual,
}


def build_backbone(
    config: BackboneConfig, features: Spectrogram, seconds: float, kernel: str
) -> nn.Module:
    """Return the backbone for inputs of ``seconds``.

    Args:
        config: backbone section of the configuration.
        features: features that compute its input.
        seconds: length of the inputs in training.
        kernel: kernel of selective scan and convolution, for backbones that have them.

    Raises:
        InputError: if stem or stages do not match the features.
    """
    windows = features.windows(FrameGrid())
    own = {key: getattr(config, key) for key in KINDS[config.kind]}
    if not config.has_tokens:
        _check_halvings(config, features.bins)
        return ConvolutionalNetwork(
            partial(BLOCKS[config.kind], **own),
            features.channels,
            features.bins,
            windows,
            config.dim,
            config.stem.channels,
            config.depth,
            config.drop_path,
            AtrousPyramid(config.stem.channels[-1]) if config.kind == "deeplab" else None,
        )
    stem = _build_stem(config, features, windows)
    if config.has_states:
        own["kernel"] = kernel
    return TOKENS[config.kind](
        stem=stem,
        bins=features.bins,
        steps=-(-FrameGrid().count(seconds) * windows // stem.windows),
        dim=config.dim,
        depth=config.depth,
        class_token=config.class_token,
        drop_path=config.drop_path,
        interpolated=windows if config.interpolate else None,
        **own,
    )


def _build_stem(
    config: BackboneConfig, features: Spectrogram, windows: int
) -> ConvStem | PatchStem:
    stem, bins = config.stem, features.bins
    if stem.kind == "conv":
        _check_halvings(config, bins)
        power = features.channels - PHASE * features.phase
        return ConvStem(
            power,
            config.dim,
            bins,
            windows,
            stem.channels,
            stem.blocks,
            phase=features.channels - power,
            phase_width=stem.phase_width,
            drop_power=stem.drop_power,
            drop_phase=stem.drop_phase,
            statistics=stem.statistics,
        )
    stride = stem.stride or stem.patch
    if bins % stride[0] or (stride[1] % windows and not config.interpolate):
        raise InputError(
            f"backbone.stem.stride={list(stride)}: must divide the {bins} bins, and be a "
            f"multiple of the {windows} windows in a frame, or set backbone.interpolate=true"
        )
    return PatchStem(features.channels, config.dim, stem.patch, stride)


def _check_halvings(config: BackboneConfig, bins: int) -> None:
    """Check that the number of bins can be halved as often as the convolutions do."""
    count = len(config.stem.channels)
    what, halvings = f"a stem of {count} convolutions", count
    if not config.has_tokens:
        what, halvings = f"a network of {count} stages", count + 1
    if bins % 2**halvings:
        raise InputError(
            f"features.bins={bins}: {what} needs a multiple of {2**halvings}; change it or "
            "backbone.stem.channels"
        )
