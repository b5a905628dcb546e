"""The bidirectional Mamba mixer of Vision Mamba (Vim).

Parameters have the names and shapes of the published checkpoints of Vim and AuM, so that weights
are interchangeable. Sequences are not flipped: the backward branch is an anti-causal convolution
and a scan from the last token. The gate, which both branches share, is applied once to their sum.

Gu & Dao 2023, "Mamba"; Zhu et al. 2024, "Vision Mamba"; Erol et al. 2024, "Audio Mamba" (v1).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fakesound.config.model import VARIANTS
from fakesound.errors import InputError
from fakesound.models.scan import bidirectional_conv, bidirectional_scan

CONV_WIDTH = 4  # taps of the depthwise convolution
_DT_RANGE = (1e-3, 1e-1)
# largest number of tokens times channels that stays in the cache between steps of the mixer
_CACHED = 2**20


class BidirectionalMamba(nn.Module):
    """Mix tokens over time by selective scans in one or both directions.

    Args:
        dim: width of the tokens.
        state: number of states per channel.
        expand: width inside the mixer, in multiples of ``dim``.
        variant: "v2": separate convolution, projections and scan for each direction (Vim). "v1":
            the directions share all but A, with a causal convolution (AuM's "Fo-Bi"). "none":
            forward only (Mamba).
        tied_decay: whether a channel has one decay rate, whose multiples 1, 2, ... are the rates of
            its states, instead of a learned rate for every state as in Mamba. This needs one
            exponential per token instead of ``state``.
        kernel: kernel of the scan and the convolution; see ``fakesound.models.scan``.

    Raises:
        InputError: for another ``variant``.
    """

    def __init__(
        self,
        dim: int,
        *,
        state: int = 16,
        expand: int = 2,
        variant: str = "v2",
        tied_decay: bool = False,
        kernel: str = "auto",
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise InputError(f"variant={variant}: choose one of {', '.join(VARIANTS)}")
        channels = expand * dim
        rank = math.ceil(dim / 16)
        self.variant = variant
        self.kernel = kernel
        # as published: Vim halves the sum of the directions, AuM does not
        self.scale = 0.5 if variant == "v2" else 1.0
        self.splits = [rank, state, state]

        self.in_proj = nn.Linear(dim, 2 * channels, bias=False)
        self.conv1d = _depthwise(channels)
        self.x_proj = nn.Linear(channels, sum(self.splits), bias=False)
        self.dt_proj = nn.Linear(rank, channels)
        rates = 1 if tied_decay else state
        self.A_log = _decay_rates(channels, rates)
        self.D = nn.Parameter(torch.ones(channels))
        if variant != "none":
            self.A_b_log = _decay_rates(channels, rates)
        if variant == "v2":
            self.D_b = nn.Parameter(torch.ones(channels))
            self.conv1d_b = _depthwise(channels)
            self.x_proj_b = nn.Linear(channels, sum(self.splits), bias=False)
            self.dt_proj_b = nn.Linear(rank, channels)
        self.out_proj = nn.Linear(channels, dim, bias=False)

        _init_step_sizes(self.dt_proj)
        if variant == "v2":
            # unlike in Vim, whose backward step sizes start near 0.69, a memory of two tokens
            _init_step_sizes(self.dt_proj_b)
        for name, parameter in self.named_parameters():
            if name in ("A_log", "A_b_log", "D", "D_b", "dt_proj.bias", "dt_proj_b.bias"):
                parameter._no_weight_decay = True  # type: ignore[attr-defined]

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Return the mixed tokens.

        Without gradients, a CPU mixes a few clips at a time, which fit into its cache.
        """
        if tokens.is_cpu and not torch.is_grad_enabled() and not torch.compiler.is_compiling():
            size = tokens.shape[0] * tokens.shape[1] * self.out_proj.in_features
            parts = min(len(tokens), -(-size // _CACHED))
            if parts > 1:
                return torch.cat([self._mix(part) for part in tokens.tensor_split(parts)])
        return self._mix(tokens)

    def _mix(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        convs, x_projs, dt_projs, skips = [self.conv1d], [self.x_proj], [self.dt_proj], [self.D]
        if self.variant == "v2":
            convs.append(self.conv1d_b)
            x_projs.append(self.x_proj_b)
            dt_projs.append(self.dt_proj_b)
            skips.append(self.D_b)
        rates = [self.A_log] if self.variant == "none" else [self.A_log, self.A_b_log]

        x, z = self.in_proj(tokens).chunk(2, dim=-1)
        conv_weight = torch.stack([conv.weight[:, 0] for conv in convs])
        conv_bias = torch.stack(tuple(conv.get_parameter("bias") for conv in convs))
        x = bidirectional_conv(x, conv_weight, conv_bias, kernel=self.kernel)
        x_weight = torch.stack([proj.weight for proj in x_projs])
        dt_weight = torch.stack([proj.weight for proj in dt_projs])
        projected = torch.bmm(x.flatten(1, 2), x_weight.mT).view(*x.shape[:3], -1)
        low_rank, B, C = torch.split(projected, self.splits, dim=-1)
        dt = torch.bmm(low_rank.flatten(1, 2), dt_weight.mT).view(x.shape)

        def both(tensor: Tensor) -> Tensor:
            """Expand a tensor that the directions share in v1, without a copy."""
            return tensor.expand(len(rates), *tensor.shape[1:])

        y = bidirectional_scan(
            both(x),
            both(dt),
            torch.stack(tuple(rates)),
            both(B),
            both(C),
            both(torch.stack(tuple(skips))),
            both(torch.stack([proj.bias for proj in dt_projs])),
            z,
            scale=self.scale,
            kernel=self.kernel,
        )
        mixed: Tensor = self.out_proj(y)
        return mixed


def _depthwise(channels: int) -> nn.Conv1d:
    return nn.Conv1d(channels, channels, CONV_WIDTH, groups=channels)


def _decay_rates(channels: int, state: int) -> nn.Parameter:
    """Return log(-A) for A = -1, -2, ..., -state in every channel (S4D-Real)."""
    return nn.Parameter(torch.arange(1.0, state + 1).log().repeat(channels, 1))


def _init_step_sizes(projection: nn.Linear) -> None:
    """Initialise softplus(bias) log-uniformly over ``_DT_RANGE`` (Gu & Dao 2023, section 3.6)."""
    bound = projection.in_features**-0.5
    nn.init.uniform_(projection.weight, -bound, bound)
    with torch.no_grad():
        projection.bias.copy_(step_size_biases(projection.out_features))


def step_size_biases(*shape: int) -> Tensor:
    """Return biases whose softplus is log-uniform over ``_DT_RANGE``."""
    low, high = (math.log(end) for end in _DT_RANGE)
    steps = torch.empty(shape).uniform_(low, high).exp()
    # the inverse of softplus
    return steps + torch.log(-torch.expm1(-steps))
