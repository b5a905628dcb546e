"""Inverted residual blocks for spectrograms, a baseline of the 2024 project."""

from jaxtyping import Float
from torch import Tensor, nn

from fakesound.models.residual import convolution
from fakesound.models.tokens import without_some


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and projection (MobileNet V2, Sandler et al., CVPR 2018).

    Args:
        width_in, width: channels of input and output.
        stride: stride over frequency.
        dilation: dilation in time.
        drop_path: rate of skipping a block with a shortcut for an example in training.
        expand: inner channels, in multiples of ``width_in``.
    """

    def __init__(
        self,
        width_in: int,
        width: int,
        stride: int,
        dilation: int,
        drop_path: float,
        expand: int = 6,
    ) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.residual = stride == 1 and width_in == width
        inside = expand * width_in
        self.layers = nn.Sequential(
            convolution(width_in, inside, 1),
            nn.ReLU6(inplace=True),
            convolution(inside, inside, 3, stride, dilation, groups=inside),
            nn.ReLU6(inplace=True),
            convolution(inside, width, 1),
        )

    def forward(
        self, grid: Float[Tensor, "batch width_in band step"]
    ) -> Float[Tensor, "batch width new_band step"]:
        """Return ``grid`` after the block."""
        change: Tensor = self.layers(grid)
        if not self.residual:
            return change
        if self.training and self.drop_path:
            change = without_some(change, self.drop_path)
        return grid + change
