"""Convolutions and residual blocks that keep the resolution in time."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fakesound.models.collectives import BatchNorm
from fakesound.models.tokens import drop_examples


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut, ``relu(x + f(x))`` (He et al., CVPR 2016).

    Args:
        width_in, width: channels of input and output.
        stride: stride over frequency.
        dilation: dilation in time.
        drop_path: rate of skipping ``f`` for an example in training.
    """

    def __init__(
        self, width_in: int, width: int, stride: int, dilation: int, drop_path: float
    ) -> None:
        super().__init__()
        self.drop_path = drop_path
        self.layers = nn.Sequential(
            convolution(width_in, width, 3, stride, dilation),
            nn.ReLU(inplace=True),
            convolution(width, width, 3, 1, dilation),
        )
        # pooled, since a stride would discard values (ResNet-D, He et al., CVPR 2019); and a
        # strided 1 x 1 filter of 8 channels crashes oneDNN on CPUs (torch 2.13)
        shortcut: list[nn.Module] = [nn.AvgPool2d((stride, 1))] if stride > 1 else []
        if width_in != width:
            shortcut.append(convolution(width_in, width, 1))
        self.shortcut = nn.Sequential(*shortcut)

    @property
    def last_norm(self) -> nn.Module:
        """Last normalisation: where its weight and bias are zero, the shortcut is left."""
        norm: nn.Module = self.layers[-1].get_submodule("1")
        return norm

    def forward(
        self, grid: Float[Tensor, "batch width_in band step"]
    ) -> Float[Tensor, "batch width new_band step"]:
        """Return ``grid`` after the block."""
        change: Tensor = self.layers(grid)
        if self.training and self.drop_path:
            change = drop_examples(change, self.drop_path)
        return functional.relu(self.shortcut(grid) + change)


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
            change = drop_examples(change, self.drop_path)
        return grid + change


def convolution(
    width_in: int, width: int, size: int, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Module:
    """Return a convolution that keeps the resolution in time, and its normalisation.

    Args:
        width_in: number of input channels.
        width: number of output channels.
        size: size of the filter in bands and steps.
        stride: stride over frequency.
        dilation: dilation in time.
        groups: number of channel groups.
    """
    near = size // 2
    return nn.Sequential(
        nn.Conv2d(
            width_in,
            width,
            size,
            stride=(stride, 1),
            padding=(near, near * dilation),
            dilation=(1, dilation),
            groups=groups,
            bias=False,
        ),
        BatchNorm(width),
    )
