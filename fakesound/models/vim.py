"""Vision Mamba on spectrograms (Zhu et al., ICML 2024; Audio Mamba: Erol et al., 2024)."""

from typing import Any

from torch import nn

from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.tokens import Block, TokenEncoder


class VisionMamba(TokenEncoder):
    """Tokens of a spectrogram through bidirectional Mamba blocks, which scan them in ``order``.

    The options of a layer are those of `BidirectionalMamba`.
    """

    def make_layer(self, dim: int, rate: float, **options: Any) -> nn.Module:  # noqa: ANN401
        """Return a residual block of a Mamba mixer."""
        return Block(BidirectionalMamba(dim, **options), dim, rate)
