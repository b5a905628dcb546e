"""A transformer encoder on the tokens of a spectrogram, like ViT and AST.

Dosovitskiy et al., "An image is worth 16 x 16 words", ICLR 2021; Gong, Chung and Glass, "AST",
Interspeech 2021. Stem, class token in the middle, positions and norms (RMSNorm) are those of
`VisionMamba`, so that the two differ only in the layers that mix the tokens.
"""

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from fakesound.models.tokens import Block, TokenEncoder


class Transformer(TokenEncoder):
    """Blocks of attention and a perceptron on the tokens of a spectrogram.

    Without positions, attention does not depend on the order of tokens.
    """

    def make_layer(self, dim: int, rate: float, head_dim: int = 64, expand: int = 4) -> nn.Module:
        """Return a `transformer_block`."""
        return transformer_block(dim, head_dim, expand, rate)


def transformer_block(dim: int, head_dim: int, expand: int, drop_path: float = 0.0) -> nn.Module:
    """Return attention and a perceptron, each with a norm before it and a residual connection.

    Args:
        dim: width of a token.
        head_dim: channels of a head of attention; divides ``dim``.
        expand: width inside the perceptron, in multiples of ``dim``.
        drop_path: rate of stochastic depth.
    """
    return nn.Sequential(
        Block(Attention(dim, head_dim), dim, drop_path),
        Block(perceptron(dim, expand), dim, drop_path),
    )


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al., NeurIPS 2017).

    Args:
        dim: width of the tokens.
        head_dim: channels of a head.

    Raises:
        ValueError: if ``dim`` is not a whole number of heads.
    """

    def __init__(self, dim: int, head_dim: int) -> None:
        super().__init__()
        if dim % head_dim:
            raise ValueError(f"{dim} channels are not a whole number of heads of {head_dim}")
        self.head_dim = head_dim
        self.in_proj = nn.Linear(dim, 3 * dim)
        self.out_proj = nn.Linear(dim, dim)

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Return the mixed tokens."""
        parts = self.in_proj(tokens).unflatten(-1, (3, -1, self.head_dim))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        heads = scaled_dot_product_attention(query, key, value)
        mixed: Tensor = self.out_proj(heads.transpose(1, 2).flatten(2))
        return mixed


def perceptron(dim: int, expand: int) -> nn.Module:
    """Return a perceptron with one hidden layer of width ``expand * dim``."""
    return nn.Sequential(
        OrderedDict(
            in_proj=nn.Linear(dim, expand * dim),
            activation=nn.GELU(),
            out_proj=nn.Linear(expand * dim, dim),
        )
    )
