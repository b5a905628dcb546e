"""The rival: a transformer encoder like ViT and AST (Gong et al. 2021) in place of Mamba blocks."""

import copy

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from fakesound.models.vim import VisionMamba

HEAD_WIDTH = 64


class TransformerBlock(nn.Module):
    """Attention, then a perceptron four times as wide, each normalised before and added after.

    Args:
        dim: width of a token.
        heads: of the attention.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Return ``tokens`` after the block."""
        parts = self.qkv(self.norm1(tokens)).unflatten(-1, (3, self.heads, -1))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        tokens = tokens + self.proj(mixed)
        changed: Tensor = tokens + self.mlp(self.norm2(tokens))
        return changed


def as_transformer(model: VisionMamba) -> VisionMamba:
    """Return a copy of ``model`` with transformer blocks, as many as have its parameters.

    Stem, position embedding and final norm stay. One block has some 1.6 to 1.8 times the parameters
    of a Mamba block of the same width: for the 24 blocks of Vim tiny there are 15, for those of
    small and base 14.
    """
    made = copy.deepcopy(model)
    heads = max(1, model.dim // HEAD_WIDTH)
    block = _size(TransformerBlock(model.dim, heads))
    depth = max(1, round(_size(model.layers) / block))
    made.layers = nn.ModuleList(TransformerBlock(model.dim, heads) for _ in range(depth))
    return made


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
