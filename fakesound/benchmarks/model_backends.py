"""Models of one size: ours with each kernel, others', and the floor of their matrix products."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from fakesound.benchmarks.backends import kernel_problem, mambapy_problem, with_kernel
from fakesound.benchmarks.matmul import MatrixProducts
from fakesound.benchmarks.measure import Method
from fakesound.benchmarks.scan_backends import MAMBAPY, Size, mambapy_bytes
from fakesound.benchmarks.transformer import as_transformer
from fakesound.config import RunConfig
from fakesound.models.backbones import build_backbone
from fakesound.models.build import GRID, build_features
from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.scan.reference import decay_rates
from fakesound.models.vim import VisionMamba

MATMUL, TRANSFORMER = "matmul", "transformer"
# bands of the published 128 mel bins in patches of 16
_USUAL_BANDS = 8
_FEWEST_BANDS = 4


@dataclass(frozen=True)
class Input:
    """A spectrogram.

    Attributes:
        tokens: that the model makes of it.
        bins, windows: its sides.
        channels: of it.
    """

    tokens: int
    bins: int
    windows: int
    channels: int

    def make(self, batch: int, device: torch.device) -> torch.Tensor:
        """Return noise of this shape, (batch, channel, bin, window)."""
        generator = torch.Generator().manual_seed(0)
        shape = (batch, self.channels, self.bins, self.windows)
        return torch.randn(*shape, generator=generator).to(device)


def grid(tokens: int, most: int) -> tuple[int, int]:
    """Return bands and steps of a grid of ``tokens``, or of the nearest number that makes one.

    There are ``most`` bands at most, as near as possible to as many as the published models have.

    >>> grid(196, 16), grid(512, 16), grid(509, 16)
    ((7, 28), (8, 64), (6, 85))
    """
    for count in (tokens + sign * away for away in range(_FEWEST_BANDS) for sign in (1, -1)):
        fitting = [b for b in range(_FEWEST_BANDS, most + 1) if count > 0 and count % b == 0]
        if fitting:
            bands = min(fitting, key=lambda b: abs(b - _USUAL_BANDS))
            return bands, count // bands
    return 1, tokens


def build(config: RunConfig, tokens: int) -> tuple[VisionMamba, Input]:
    """Return the Vision Mamba for as nearly as possible ``tokens``, and its input."""
    backbone, stem = config.backbone, config.backbone.stem
    wanted = max(1, tokens - backbone.class_token)
    bands, steps = 1, wanted
    if stem.kind == "patch":
        stride = stem.stride or stem.patch
        bands, steps = grid(wanted, config.features.window // 2 // stride[0])
        config.features.bins = bands * stride[0]
    features = build_features(config.features, config.data.sample_rate)
    windows = steps * (stride[1] if stem.kind == "patch" else features.windows(GRID))
    seconds = windows * config.features.hop_ms / 1000
    model = build_backbone(backbone, features, seconds, "auto")
    assert isinstance(model, VisionMamba)
    real = bands * steps + backbone.class_token
    return model, Input(real, features.bins, windows, features.channels)


def size_of(config: RunConfig, batch: int, tokens: int) -> Size:
    """Return how large the scans in the model are."""
    backbone = config.backbone
    directions = 1 if backbone.variant == "none" else 2
    channels = backbone.expand * backbone.dim
    return Size(batch, tokens, channels, backbone.state, directions, backbone.tied_decay)


def model_of(name: str, model: VisionMamba) -> nn.Module:
    """Return what backend ``name`` has in place of ``model``, with the same weights if it can."""
    if name == MATMUL:
        return MatrixProducts(model)
    if name == TRANSFORMER:
        return as_transformer(model)
    if name == MAMBAPY:
        return _with_mambapy(model)
    return with_kernel(model, name)


def model_problem(
    name: str, config: RunConfig, largest: Size, available: int, method: Method
) -> str | None:
    """Return why backend ``name`` cannot run; None if it can."""
    if name in (MATMUL, TRANSFORMER):
        return None
    if name == MAMBAPY:
        if config.backbone.variant != "v2":
            return "computes variant v2 only"
        return mambapy_problem(available, config.backbone.depth * mambapy_bytes(largest))
    return kernel_problem(name, method.device, method.dtype)


def call_of(
    model: nn.Module, direction: str, spectrogram: torch.Tensor, dtype: torch.dtype
) -> Callable[[], list[torch.Tensor]]:
    """Return the call to time; with "forward+backward" all parameters get gradients."""
    device = spectrogram.device.type

    def forward() -> list[torch.Tensor]:
        with torch.autocast(device, dtype, enabled=dtype != torch.float32):
            return list(model.forward_features(spectrogram)[:2])  # type: ignore[operator]

    def only() -> list[torch.Tensor]:
        with torch.no_grad():
            return forward()

    def both() -> list[torch.Tensor]:
        results = forward()
        torch.stack([result.float().mean() for result in results]).sum().backward()
        model.zero_grad()
        return [result.detach() for result in results]

    return only if direction == "forward" else both


def _with_mambapy(model: VisionMamba) -> VisionMamba:
    """Return a copy of ``model`` with the blocks of mambapy's Vim, weights and all."""
    from mambapy.vim import MambaConfig, VMamba

    mixer = model.layers[0].mixer
    assert isinstance(mixer, BidirectionalMamba)
    states = mixer.splits[-1]
    config = MambaConfig(
        d_model=model.dim,
        n_layers=len(model.layers),
        d_state=states,
        expand_factor=mixer.in_proj.out_features // 2 // model.dim,
    )
    weights = {}
    for name, weight in model.layers.state_dict().items():
        # it has no tied decay rates
        full = decay_rates(weight, states).log() if name.endswith(("A_log", "A_b_log")) else weight
        weights[name.replace("A_b_log", "A_log_b")] = full
    layers = VMamba(config).layers
    layers.load_state_dict(weights)
    made = copy.deepcopy(model)
    made.layers = layers
    return made
