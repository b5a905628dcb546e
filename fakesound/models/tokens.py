"""Base of token backbones: stem, order of tokens, class token and positions.

Vision Mamba, the transformer and the state space duality differ in the blocks that mix the tokens.
"""

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint


class BackboneOutput(NamedTuple):
    """Output of a backbone.

    Attributes:
        tokens: one token for each step in time.
        summary: summary vector of the whole input.
        statistics: statistics of the whole input, taken before tokens are mixed; None without them.
    """

    tokens: Float[Tensor, "batch step dim"]
    summary: Float[Tensor, "batch dim"]
    statistics: Float[Tensor, "batch dim"] | None = None


class Block(nn.Module):
    """Residual block ``x + mixer(norm(x))`` with stochastic depth."""

    def __init__(self, mixer: nn.Module, dim: int, drop_path: float) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(dim, eps=1e-5)
        self.mixer = mixer
        self.drop_path = drop_path

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Return ``tokens`` after the block."""
        change: Tensor = self.mixer(self.norm(tokens))
        if self.training and self.drop_path:
            change = drop_examples(change, self.drop_path)
        return tokens + change


class TokenEncoder(nn.Module):
    """Sequence of layers on the tokens of a spectrogram; subclasses make the layers.

    Args:
        stem: `ConvStem` or `PatchStem` of `fakesound.models.stem`.
        bins: number of spectrogram bins.
        steps: length of the token grid in training; position embeddings are interpolated to others.
        dim: width of a token.
        depth: number of layers.
        order: "time": all bands of one instant, then those of the next; "frequency": one band over
            all time, then the next, as in Vim on images.
        class_token: whether one token in the middle of the sequence is the summary, not the mean.
        pos_embed: whether a learned position embedding is added.
        drop_path: rate of stochastic depth in the last layer; it rises linearly from 0.
        checkpointing: whether layers recompute their inner activations for the gradient instead of
            storing them (Chen et al., "Training deep nets with sublinear memory cost", 2016).
        interpolated: number of windows per token after linear interpolation; None for no
            interpolation.
        options: options of a layer.
    """

    def __init__(
        self,
        stem: nn.Module,
        bins: int,
        steps: int,
        dim: int,
        depth: int,
        order: str = "time",
        class_token: bool = True,
        pos_embed: bool = True,
        drop_path: float = 0.0,
        checkpointing: bool = False,
        interpolated: int | None = None,
        **options: Any,  # noqa: ANN401  # checked by make_layer
    ) -> None:
        super().__init__()
        layers = [self.make_layer(dim, rate, **options) for rate in drop_rates(depth, drop_path)]
        self.dim, self.order = dim, order
        self.checkpointing, self.interpolated = checkpointing, interpolated
        self.stem = stem
        self.grid = (stem.bands(bins), steps)  # type: ignore[operator]
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if class_token else None
        places = self.grid[0] * steps + class_token
        self.pos_embed = nn.Parameter(torch.zeros(1, places, dim)) if pos_embed else None
        self.layers = nn.ModuleList(layers)
        self.norm_f = nn.RMSNorm(dim, eps=1e-5)
        for embedding in (self.cls_token, self.pos_embed):
            if embedding is not None:
                nn.init.trunc_normal_(embedding, std=0.02)
        _initialise_outputs(self.layers)

    def make_layer(self, dim: int, rate: float, *_: Any, **options: Any) -> nn.Module:  # noqa: ANN401
        """Return a layer from tokens to tokens, whose residual branches are each a `Block`."""
        raise NotImplementedError

    @property
    def windows(self) -> int:
        """Windows of the spectrogram in one step of the output."""
        return self.interpolated or int(self.stem.windows)  # type: ignore[arg-type]

    def forward_features(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> BackboneOutput:
        """Return tokens on a grid in time, bands averaged, and a summary."""
        windows = spectrogram.shape[-1]
        if self.interpolated is not None:
            both = math.lcm(self.interpolated, int(self.stem.windows))  # type: ignore[arg-type]
            spectrogram = functional.pad(spectrogram, (0, -windows % both))
        grid, statistics = self.stem.tokens_and_statistics(spectrogram)  # type: ignore[operator]
        bands, steps = grid.shape[2:]
        by_time = self.order == "time"
        tokens = (grid.transpose(2, 3) if by_time else grid).flatten(2).transpose(1, 2)
        middle = tokens.shape[1] // 2
        if self.cls_token is not None:
            token = self.cls_token.expand(tokens.shape[0], -1, -1)
            tokens = torch.cat((tokens[:, :middle], token, tokens[:, middle:]), dim=1)
        if self.pos_embed is not None:
            tokens = tokens + self._positions(steps)
        for layer in self.layers:
            if self.checkpointing and torch.is_grad_enabled():
                tokens = checkpoint(layer, tokens, use_reentrant=False)
            else:
                tokens = layer(tokens)
        tokens = self.norm_f(tokens)
        summary = tokens.mean(1)
        if self.cls_token is not None:
            summary = tokens[:, middle]
            tokens = torch.cat((tokens[:, :middle], tokens[:, middle + 1 :]), dim=1)
        shape = (steps, bands) if by_time else (bands, steps)
        tokens = tokens.unflatten(1, shape).mean(2 if by_time else 1)
        if self.interpolated is not None:
            count = spectrogram.shape[-1] // self.interpolated
            # a frame between two steps gets their mean
            finer = functional.interpolate(tokens.transpose(1, 2), count, mode="linear")
            tokens = finer.transpose(1, 2)[:, : windows // self.interpolated]
        return BackboneOutput(tokens, summary, statistics)

    def no_weight_decay(self) -> set[str]:
        """Return the names of parameters without weight decay, which are not linear maps."""
        return {"cls_token", "pos_embed"}

    def _positions(self, steps: int) -> Float[Tensor, "1 token dim"]:
        """Return embeddings for ``steps`` in token order, with the class token in the middle."""
        assert self.pos_embed is not None
        if steps == self.grid[1]:
            return self.pos_embed
        bands, trained = self.grid
        middle = bands * trained // 2
        class_tokens = 1 if self.cls_token is not None else 0
        own = self.pos_embed[:, middle : middle + class_tokens]
        patches = torch.cat(
            (self.pos_embed[:, :middle], self.pos_embed[:, middle + class_tokens :]), dim=1
        )
        by_time = self.order == "time"
        grid = patches.unflatten(1, (trained, bands) if by_time else (bands, trained))
        grid = grid.permute(0, 3, 2, 1) if by_time else grid.permute(0, 3, 1, 2)
        grid = functional.interpolate(grid, (bands, steps), mode="bilinear", align_corners=False)
        patches = (grid.transpose(2, 3) if by_time else grid).flatten(2).transpose(1, 2)
        middle = bands * steps // 2
        return torch.cat((patches[:, :middle], own, patches[:, middle:]), dim=1)


def drop_examples(
    change: Float[Tensor, "batch ..."], drop_path: float
) -> Float[Tensor, "batch ..."]:
    """Return ``change`` with whole examples set to zero at this rate, and the others scaled up.

    Stochastic depth (Huang et al., ECCV 2016).
    """
    keep = 1 - drop_path
    one_each = change.new_empty((change.shape[0], *(1,) * (change.ndim - 1)))
    return change * one_each.bernoulli_(keep) / keep


def drop_rates(depth: int, last: float) -> list[float]:
    """Return the rate of dropping each of ``depth`` blocks, rising from 0 to ``last``."""
    return [last * index / max(1, depth - 1) for index in range(depth)]


def _initialise_outputs(layers: nn.Module) -> None:
    """Initialise the last matrix (``out_proj``) of every residual branch.

    As in GPT-2 and Mamba, its scale decreases with the number of branches, so that the sum of all
    branches is initially no larger than one.
    """
    branches = sum(isinstance(module, Block) for module in layers.modules())
    for name, parameter in layers.named_parameters():
        if name.endswith("out_proj.weight"):
            nn.init.kaiming_uniform_(parameter, a=5**0.5)
            parameter.data /= branches**0.5
