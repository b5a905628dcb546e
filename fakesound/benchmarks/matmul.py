"""The floor: the matrix products of a Vision Mamba and nothing else."""

import copy
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.tokens import BackboneOutput, Block
from fakesound.models.vim import VisionMamba


class MatrixProducts(nn.Module):
    """The stem and the matrix products of every mixer of a model, each fed by the one before.

    Weights are as many and of the same shapes, so that as much comes out of memory, and so is every
    activation that a product reads and writes. What lies between products in the model (norm, gate,
    convolution, scan, skips) is left out: the next product takes the part of the result that has
    the right shape. Gradients take the same way back.

    Args:
        model: with mixers of any variant.
    """

    def __init__(self, model: VisionMamba) -> None:
        super().__init__()
        self.order = model.order
        self.class_token = model.cls_token is not None
        self.stem = copy.deepcopy(model.stem)
        self.mixers = nn.ModuleList(
            MixerProducts(cast(BidirectionalMamba, cast(Block, block).mixer))
            for block in model.layers
        )

    def forward_features(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> BackboneOutput:
        """Return the outcome of the last product, which means nothing."""
        tokens = self.stem(spectrogram).flatten(2).transpose(1, 2)
        if self.class_token:
            tokens = torch.cat((tokens, tokens[:, :1]), dim=1)
        for mixer in self.mixers:
            tokens = mixer(tokens)
        return BackboneOutput(tokens, tokens[:, 0])


class MixerProducts(nn.Module):
    """The four matrix products of a mixer: two of them in a batch, one for each direction.

    Args:
        mixer: whose shapes to take.
    """

    def __init__(self, mixer: BidirectionalMamba) -> None:
        super().__init__()
        directions = 2 if mixer.variant == "v2" else 1
        projected, channels = mixer.x_proj.weight.shape
        self.rank = mixer.dt_proj.in_features
        self.directions = directions
        self.in_proj = _weight(*mixer.in_proj.weight.shape)
        self.x_proj = _weight(directions, projected, channels)
        self.dt_proj = _weight(directions, channels, self.rank)
        self.out_proj = _weight(*mixer.out_proj.weight.shape)

    def forward(self, tokens: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Return the last product."""
        batch, count, dim = tokens.shape
        # the halves that are x and z in the model stand for the two directions
        halves = (tokens.reshape(-1, dim) @ self.in_proj.mT).unflatten(-1, (2, -1)).transpose(0, 1)
        projected = torch.bmm(halves[: self.directions], self.x_proj.mT)
        steps = torch.bmm(projected[..., : self.rank], self.dt_proj.mT)
        return (steps[0] @ self.out_proj.mT).unflatten(0, (batch, count))


def _weight(*shape: int) -> nn.Parameter:
    """Return a weight that keeps the size of what it is multiplied with.

    Or else a chain of a hundred products would end in subnormal numbers, which are slow.
    """
    return nn.Parameter(torch.randn(*shape) * shape[-1] ** -0.5)
