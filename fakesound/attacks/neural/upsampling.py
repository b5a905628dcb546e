"""A vocoder of transposed convolutions, from frames to samples."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fakesound.attacks.neural.mel import BANDS, HOP, LogMel, standardised

SLOPE = 0.1


class DilatedConvolution(nn.Conv1d):
    """A leaky rectifier and a dilated convolution, with a residual connection."""

    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        reach = dilation * (kernel // 2)
        super().__init__(width, width, kernel, dilation=dilation, padding=reach)

    def forward(self, x: Float[Tensor, "batch width time"]) -> Float[Tensor, "batch width time"]:
        """Return ``x`` plus its convolution."""
        return x + super().forward(functional.leaky_relu(x, SLOPE))


class ResidualBranches(nn.Module):
    """Dilated convolutions with residuals, the mean of two kernel sizes (Kong et al., 2020)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(DilatedConvolution(width, kernel, dilation) for dilation in (1, 3)))
            for kernel in (3, 5)
        )

    def forward(self, x: Float[Tensor, "batch width time"]) -> Float[Tensor, "batch width time"]:
        """Return the mean of the branches."""
        return torch.stack([branch(x) for branch in self.branches]).mean(dim=0)


class Upsampler(nn.Module):
    """Transposed convolutions from frames to samples, with residual branches between them.

    Kong, Kim and Bae, "HiFi-GAN", NeurIPS 2020, with few channels.
    """

    def __init__(self, width: int, channels: tuple[int, ...], strides: tuple[int, ...]) -> None:
        super().__init__()
        self.enter = nn.Conv1d(width, channels[0], 5, padding=2)
        self.rises = nn.ModuleList(
            nn.ConvTranspose1d(a, b, 2 * s, s, padding=(s + 1) // 2, output_padding=s % 2)
            for a, b, s in zip(channels[:-1], channels[1:], strides, strict=True)
        )
        self.branches = nn.ModuleList(ResidualBranches(width) for width in channels[1:])
        self.leave = nn.Conv1d(channels[-1], 1, 7, padding=3)

    def forward(self, x: Float[Tensor, "batch width frame"]) -> Float[Tensor, "batch sample"]:
        """Return the waveform; the strides multiply to the number of samples in a frame."""
        x = self.enter(x)
        for rise, branches in zip(self.rises, self.branches, strict=True):
            x = branches(rise(functional.leaky_relu(x, SLOPE)))
        return torch.tanh(self.leave(functional.leaky_relu(x, SLOPE))).squeeze(1)


class UpsamplingVocoder(nn.Module):
    """Log-mel spectrogram to waveform by transposed convolutions (Kong et al., 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel()
        self.upsampler = Upsampler(BANDS, (72, 48, 24, 16), (8, 5, 4))

    def forward(self, mel: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch sample"]:
        """Return the waveform, ``HOP`` samples for each frame but the last."""
        samples = self.upsampler(standardised(mel))
        # frames are centred, so the output starts half a hop early
        return samples[:, HOP // 2 : HOP // 2 - HOP]
