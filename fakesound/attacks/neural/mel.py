"""Mel spectrogram of the vocoders, and the network block that they share."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fakesound.attacks.spectral import mel_filters

RATE = 16_000
HOP = 160
SIZE = 640
BANDS = 80
BINS = SIZE // 2 + 1
FLOOR = 1e-5


class LogMel(nn.Module):
    """Log-mel spectrogram: natural logarithm of band means; a full-scale sine is near 0."""

    def __init__(self) -> None:
        super().__init__()
        filters = torch.from_numpy(mel_filters(BANDS, BINS, RATE)).double()
        means = filters / filters.sum(1, keepdim=True)
        between = filters / filters.sum(0).clamp(min=1e-3)
        window = torch.hann_window(SIZE)
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("means", means.float(), persistent=False)
        # interpolates bins between band centres, constant beyond the first and last
        between[0, filters.sum(0) == 0] = 1.0
        top = filters[-1].argmax()
        between[:, top:] = 0.0
        between[-1, top:] = 1.0
        self.register_buffer("between", between.float(), persistent=False)
        self.window: Tensor
        self.means: Tensor
        self.between: Tensor

    def forward(self, audio: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch band frame"]:
        """Return the spectrogram; frame ``i`` is centred on sample ``i * HOP``, ends included."""
        spectrum = torch.stft(
            audio, SIZE, HOP, window=self.window, pad_mode="constant", return_complex=True
        )
        magnitude = spectrum.abs() * (2 / self.window.sum())
        return (self.means @ magnitude).clamp(min=FLOOR).log()


def standardised(mel: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Return a log-mel spectrogram scaled to about -1 to 1."""
    return (mel + 6) / 3


class FrameBlock(nn.Module):
    """A ConvNeXt block on frames: depthwise convolution, then two pointwise ones (Liu, 2022)."""

    def __init__(self, width: int, hidden: int, dilation: int = 1) -> None:
        super().__init__()
        self.across = nn.Conv1d(
            width, width, 7, padding=3 * dilation, dilation=dilation, groups=width
        )
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "batch width frame"]) -> Float[Tensor, "batch width frame"]:
        """Return ``x`` plus the output of the block."""
        added = self.norm(self.across(x).transpose(1, 2))
        return x + self.narrow(functional.gelu(self.widen(added))).transpose(1, 2)
