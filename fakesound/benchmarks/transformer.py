"""The rival: a transformer encoder like ViT and AST (Gong et al. 2021) in place of Mamba blocks."""

import copy

from torch import nn

from fakesound.models.transformer import transformer_block
from fakesound.models.vim import VisionMamba

HEAD_DIM = 64
EXPAND = 4


def as_transformer(model: VisionMamba) -> VisionMamba:
    """Return a copy of ``model`` with transformer blocks, as many as have its parameters.

    Stem, position embedding and final norm stay. One block has some 1.6 to 1.8 times the parameters
    of a Mamba block of the same width: for the 24 blocks of Vim tiny there are 15, for those of
    small and base 14.
    """
    made = copy.deepcopy(model)
    # one head where the width is none of the published ones
    head_dim = HEAD_DIM if model.dim % HEAD_DIM == 0 else model.dim
    block = _size(transformer_block(model.dim, head_dim, EXPAND))
    depth = max(1, round(_size(model.layers) / block))
    made.layers = nn.ModuleList(
        transformer_block(model.dim, head_dim, EXPAND) for _ in range(depth)
    )
    return made


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
