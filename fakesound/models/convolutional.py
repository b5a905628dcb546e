"""Convolutional backbones, which keep one column of features for each 20 ms frame.

Frequency is halved from stage to stage, but time is not: unlike networks for images, the last
stages get a larger receptive field by dilation, as in FCN and DeepLab (Long et al., CVPR 2015; Chen
et al., 2017), and every frame keeps its own token.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fakesound.models.residual import convolution
from fakesound.models.stem import fold
from fakesound.models.tokens import BackboneOutput, drop_rates

# dilation in time of the last stages; 1 in the others
DILATIONS = (2, 4)
# dilations of the pyramid, in frames
RATES = (12, 24, 36)
DROPOUT = 0.5

# function of channels in and out, stride over frequency, dilation in time and drop_path
MakeBlock = Callable[[int, int, int, int, float], nn.Module]


class ConvolutionalNetwork(nn.Module):
    """Stages of blocks, then a projection of all bands of a frame to one token.

    The summary is the mean of the tokens.

    Args:
        block: function that returns a block.
        channels: number of spectrogram channels.
        bins: number of spectrogram bins, a multiple of ``2 ** (len(widths) + 1)``.
        windows: number of spectrogram windows in a frame.
        dim: width of a token.
        widths: channels of the stages; each halves frequency, the first by the stem.
        depth: number of blocks in a stage.
        drop_path: rate of the last block; it rises linearly from 0.
        pyramid: module after the last stage, with its width; None for no module.
    """

    def __init__(
        self,
        block: MakeBlock,
        channels: int,
        bins: int,
        windows: int,
        dim: int,
        widths: Sequence[int],
        depth: int,
        drop_path: float = 0.0,
        pyramid: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.dim, self.windows = dim, windows
        # neighbouring bins and the windows of a frame are folded into channels, as in `ConvStem`
        self.stem = nn.Sequential(
            convolution(channels * 2 * windows, widths[0], 3, 2), nn.ReLU(inplace=True)
        )
        dilations = [1] * max(0, len(widths) - len(DILATIONS)) + list(DILATIONS)
        rates = iter(drop_rates(depth * len(widths), drop_path))
        blocks: list[nn.Module] = []
        width_in = widths[0]
        for stage, width in enumerate(widths):
            for block_index in range(depth):
                stride = 2 if stage and not block_index else 1
                blocks.append(block(width_in, width, stride, dilations[stage], next(rates)))
                width_in = width
        if pyramid is not None:
            blocks.append(pyramid)
        self.blocks = nn.Sequential(*blocks)
        self.proj = nn.Linear(width_in * (bins // 2 ** (len(widths) + 1)), dim)
        self.norm = nn.LayerNorm(dim)

    def forward_features(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> BackboneOutput:
        """Return one token for each frame, and their mean."""
        grid = self.blocks(self.stem(fold(spectrogram, self.windows)))
        tokens: Tensor = self.norm(self.proj(grid.permute(0, 3, 1, 2).flatten(2)))
        return BackboneOutput(tokens, tokens.mean(1))


class AtrousPyramid(nn.Module):
    """Atrous spatial pyramid pooling, the head of DeepLabV3 (Chen et al., 2017).

    It combines several dilations in time and the mean of the whole grid. Its input has few bands,
    so filters are not dilated over frequency.

    Args:
        width: channels of input, inner layers and output.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.near = nn.Sequential(convolution(width, width, 1), nn.ReLU(inplace=True))
        self.far = nn.ModuleList(
            nn.Sequential(convolution(width, width, 3, 1, rate), nn.ReLU(inplace=True))
            for rate in RATES
        )
        # not normalised, since the mean of a single clip has no variance
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
