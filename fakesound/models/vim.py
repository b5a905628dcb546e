"""Mamba blocks on the tokens of a spectrogram: a backbone, and a neck on the frame grid."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.tokens import Block, TokenEncoder


class VisionMamba(TokenEncoder):
    """Vision Mamba (Zhu et al., ICML 2024) on spectrograms (Audio Mamba: Erol et al., 2024).

    Tokens pass through bidirectional Mamba blocks, which scan them in ``order``.
    The options of a layer are those of `BidirectionalMamba`.
    """

    def make_layer(self, dim: int, rate: float, **options: Any) -> nn.Module:  # noqa: ANN401
        """Return a residual block of a Mamba mixer."""
        return Block(BidirectionalMamba(dim, **options), dim, rate)


class MambaNeck(nn.Module):
    """Bidirectional Mamba blocks on frames, which a learned linear map upsamples from tokens.

    If a token of the backbone covers several frames, the neck processes each frame in its context.
    Each frame starts from its token plus a learned difference.

    Args:
        dim: width of a token.
        frames: number of frames in a step of the token grid.
        depth: number of blocks.
        kernel: kernel of the scan; see `BidirectionalMamba`.
    """

    def __init__(self, dim: int, frames: int, depth: int, kernel: str = "auto") -> None:
        super().__init__()
        self.dim, self.frames = dim, frames
        self.upsample = nn.Linear(dim, frames * dim)
        self.layers = nn.ModuleList(
            Block(BidirectionalMamba(dim, kernel=kernel), dim, drop_path=0.0) for _ in range(depth)
        )
        self.norm_f = nn.RMSNorm(dim, eps=1e-5)
        nn.init.trunc_normal_(self.upsample.weight, std=0.02)
        nn.init.zeros_(self.upsample.bias)

    def forward(self, tokens: Float[Tensor, "batch step dim"]) -> Float[Tensor, "batch frame dim"]:
        """Return a token for each frame."""
        difference = self.upsample(tokens).unflatten(2, (self.frames, self.dim)).flatten(1, 2)
        grid = tokens.repeat_interleave(self.frames, dim=1) + difference
        for layer in self.layers:
            grid = layer(grid)
        normed: Tensor = self.norm_f(grid)
        return normed
