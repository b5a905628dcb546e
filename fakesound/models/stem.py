"""Stems: what makes a grid of tokens of a spectrogram."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fakesound.models.normalisation import BatchNorm
from fakesound.models.residual import ResidualBlock


class PatchStem(nn.Module):
    """Linear patches, as in the published Vim and AuM; overlapping where the stride is smaller.

    Args:
        channels: of the spectrogram.
        dim: width of a token.
        patch: bins and windows of a patch.
        stride: bins and windows from patch to patch.
    """

    def __init__(
        self, channels: int, dim: int, patch: Sequence[int], stride: Sequence[int]
    ) -> None:
        super().__init__()
        self.stride = (stride[0], stride[1])
        # an overlap is shared between both sides, so that patches stay centred in their stride
        excess = [max(0, p - s) for p, s in zip(patch, stride, strict=True)]
        self.pad = nn.ZeroPad2d(
            (excess[1] // 2, excess[1] - excess[1] // 2, excess[0] // 2, excess[0] - excess[0] // 2)
        )
        self.proj = nn.Conv2d(channels, dim, (patch[0], patch[1]), self.stride)

    @property
    def windows(self) -> int:
        """Windows of the spectrogram in one step of the token grid."""
        return self.stride[1]

    def bands(self, bins: int) -> int:
        """Return the number of tokens over frequency for ``bins`` bins."""
        return bins // self.stride[0]

    def forward(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> Float[Tensor, "batch dim band step"]:
        """Return the tokens on their grid."""
        tokens: Tensor = self.proj(self.pad(spectrogram))
        return tokens


class ConvStem(nn.Module):
    """Two-dimensional convolutions that leave one token for each step in time.

    Neighbouring bins and the windows of a step are first folded into channels, then each
    convolution but the first halves frequency. Artefacts live between harmonics and in texture:
    local filters at full frequency resolution see them where a coarse patch does not. Early
    convolutions also ease the training of transformers (Xiao et al., NeurIPS 2021).

    Args:
        channels: of the spectrogram.
        dim: width of a token.
        bins: of the spectrogram, a multiple of ``2 ** len(widths)``.
        windows: windows of the spectrogram in one step of the token grid.
        widths: channels of the convolutions.
        blocks: residual blocks after each convolution but the first two, whose grids are the
            finest and the dearest.
    """

    def __init__(
        self,
        channels: int,
        dim: int,
        bins: int,
        windows: int,
        widths: Sequence[int],
        blocks: int = 0,
    ) -> None:
        super().__init__()
        self.windows = windows
        layers: list[nn.Module] = []
        width_in = channels * 2 * windows
        for place, width in enumerate(widths):
            stride = (1 if place == 0 else 2, 1)
            layers += [
                nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False),
                BatchNorm(width),
                nn.ReLU(inplace=True),
            ]
            if place > 1:
                layers += [ResidualBlock(width, width, 1, 1, 0.0) for _ in range(blocks)]
            width_in = width
        self.layers = nn.Sequential(*layers)
        self.proj = nn.Linear(width_in * (bins // 2 ** len(widths)), dim)
        self.norm = nn.LayerNorm(dim)

    def bands(self, bins: int) -> int:
        """Return 1: all frequencies go into one token."""
        return 1

    def forward(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> Float[Tensor, "batch dim 1 step"]:
        """Return one token for each step in time."""
        found = self.layers(folded(spectrogram, self.windows))
        tokens = self.norm(self.proj(found.permute(0, 3, 1, 2).flatten(2)))
        return tokens.transpose(1, 2).unsqueeze(2)


def folded(
    spectrogram: Float[Tensor, "batch channel bin window"], windows: int
) -> Float[Tensor, "batch folded band step"]:
    """Return ``spectrogram`` with two neighbouring bins and ``windows`` windows in channels."""
    made = spectrogram.unflatten(3, (-1, windows)).unflatten(2, (-1, 2))
    made = made.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
    # on CPUs a third faster than channels first
    return made.contiguous(memory_format=torch.channels_last)
