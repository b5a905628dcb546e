"""Bands of a spectrogram hidden in training, so that no frequency is needed."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

# of a spectrogram's bins, the widest band that is hidden, and how many bands
WIDEST = 0.15
BANDS = 2


class BandMask(nn.Module):
    """Sets bands of some pairs to zero, the mean, while training (SpecAugment, Park et al., 2019).

    A fake and its genuine twin, at even and odd places of a batch, lose the same bands. There are
    no masks in time, as they would hide a short fake region as a whole and leave its label.

    Args:
        share: share of pairs that are masked.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> Float[Tensor, "batch channel bin window"]:
        """Return ``spectrogram``, masked while training."""
        if not (self.training and self.share):
            return spectrogram
        batch, _, bins, _ = spectrogram.shape
        device = spectrogram.device
        pairs = -(-batch // 2)
        place = torch.arange(bins, device=device)
        width = torch.rand(pairs, BANDS, 1, device=device) * WIDEST * bins
        # past both ends, so that the outermost bins are hidden as often as others
        start = torch.rand(pairs, BANDS, 1, device=device) * (bins + width) - width
        hidden = ((place >= start) & (place < start + width)).any(1)
        hidden &= torch.rand(pairs, 1, device=device) < self.share
        hidden = hidden.repeat_interleave(2, 0)[:batch]
        return spectrogram.masked_fill(hidden[:, None, :, None], 0)
