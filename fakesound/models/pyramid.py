"""Atrous spatial pyramid pooling, the head of DeepLabV3 (Chen et al., 2017)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fakesound.models.residual import convolution

# steps of 20 ms between the taps of the three dilated filters
RATES = (12, 24, 36)
DROPOUT = 0.5


class AtrousPyramid(nn.Module):
    """See each point at several distances in time, and in the mean of the whole grid.

    Bands are few where it stands, so that filters are dilated in time alone.

    Args:
        width: channels before, inside and after.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Sequential(convolution(width, width, 1), nn.ReLU(inplace=True))
        self.far = nn.ModuleList(
            nn.Sequential(convolution(width, width, 3, 1, rate), nn.ReLU(inplace=True))
            for rate in RATES
        )
        # not normalised: a single clip has no variance over its one mean
        self.mean = nn.Sequential(nn.Conv2d(width, width, 1), nn.ReLU(inplace=True))
        self.joined = nn.Sequential(
            convolution((2 + len(RATES)) * width, width, 1),
            nn.ReLU(inplace=True),
            nn.Dropout(DROPOUT),
        )

    def forward(
        self, grid: Float[Tensor, "batch width band step"]
    ) -> Float[Tensor, "batch width band step"]:
        """Return ``grid`` after the pyramid."""
        mean = self.mean(grid.mean((2, 3), keepdim=True)).expand_as(grid)
        views = [self.near(grid), *(layer(grid) for layer in self.far), mean]
        joined: Tensor = self.joined(torch.cat(views, dim=1))
        return joined
