"""Mask bands of spectrograms in training, so that the model does not depend on single bands."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

# widest masked band as a share of the bins, and number of masked bands
WIDEST = 0.15
BANDS = 2


class BandMask(nn.Module):
    """Set bands of some training pairs to zero, the mean (SpecAugment, Park et al., 2019).

    A fake and its genuine partner, at even and odd positions of a batch, have the same masks. There
    are no masks in time, which could hide a whole fake region but not its label.

    Args:
        share: share of pairs that are masked.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> Float[Tensor, "batch channel bin window"]:
        """Return ``spectrogram``, masked in training."""
        if not (self.training and self.share):
            return spectrogram
        batch, _, bins, _ = spectrogram.shape
        device = spectrogram.device
        pairs = -(-batch // 2)
        bin_index = torch.arange(bins, device=device)
        width = torch.rand(pairs, BANDS, 1, device=device) * WIDEST * bins
        # beyond both ends, so that the outermost bins are masked as often as others
        start = torch.rand(pairs, BANDS, 1, device=device) * (bins + width) - width
        hidden = ((bin_index >= start) & (bin_index < start + width)).any(1)
        hidden &= torch.rand(pairs, 1, device=device) < self.share
        hidden = hidden.repeat_interleave(2, 0)[:batch]
        return spectrogram.masked_fill(hidden[:, None, :, None], 0)
