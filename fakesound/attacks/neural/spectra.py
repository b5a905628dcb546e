"""Networks at frame rate: a vocoder that predicts spectra, and a network that fills gaps."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fakesound.attacks.neural.mel import BANDS, BINS, HOP, SIZE, FrameBlock, LogMel, standardised


class SpectrumVocoder(nn.Module):
    """Log-mel to magnitude and phase at frame rate, then one inverse STFT.

    Siuzdak, "Vocos: closing the gap between time-domain and Fourier-based neural vocoders", 2023.
    The magnitude is learned as a correction of the mel spectrogram spread over the bins.
    """

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel()
        self.enter = nn.Conv1d(BANDS, 96, 3, padding=1)
        self.blocks = nn.Sequential(*(FrameBlock(96, 192) for _ in range(3)))
        self.leave = nn.Linear(96, 2 * BINS)

    def forward(self, mel: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch sample"]:
        """Return the waveform, ``HOP`` samples for each frame but the last."""
        x = self.blocks(self.enter(standardised(mel))).transpose(1, 2)
        correction, phase = self.leave(functional.layer_norm(x, x.shape[-1:])).chunk(2, dim=-1)
        prior = mel.transpose(1, 2) @ self.mel.between
        magnitude = (prior + correction).clamp(max=2.0).exp() * (self.mel.window.sum() / 2)
        spectrum = torch.polar(magnitude, phase).transpose(1, 2)
        return torch.istft(spectrum, SIZE, HOP, window=self.mel.window)


class MelFiller(nn.Module):
    """Fill gaps of a log-mel spectrogram from their context.

    Dilated blocks correct a linear interpolation. Noise is a further input, since the content of a
    gap is ambiguous, as in Pathak et al., "Context encoders", CVPR 2016.
    """

    NOISE = 4

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv1d(BANDS + 1 + self.NOISE, 64, 3, padding=1)
        self.blocks = nn.Sequential(*(FrameBlock(64, 96, d) for d in (1, 2, 4, 8, 4)))
        self.leave = nn.Conv1d(64, BANDS, 1)

    def forward(
        self,
        bridged: Float[Tensor, "batch band frame"],
        missing: Float[Tensor, "batch 1 frame"],
        noise: Float[Tensor, "batch channel frame"],
    ) -> Float[Tensor, "batch band frame"]:
        """Return the interpolation ``bridged`` with the ``missing`` frames (1) corrected."""
        x = torch.cat((standardised(bridged), missing, noise), dim=1)
        return bridged + missing * self.leave(self.blocks(self.enter(x)))
