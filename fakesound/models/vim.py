"""Vision Mamba on spectrograms (Zhu et al., ICML 2024; Audio Mamba: Erol et al., 2024)."""

from torch import nn

from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.tokens import (
    Block,
    TokenEncoder,
    drop_rates,
    initialise_outputs,
)


class VisionMamba(TokenEncoder):
    """Tokens of a spectrogram through bidirectional Mamba blocks.

    Args:
        stem, bins, steps, dim, order, class_token, position: see `TokenEncoder`; the order is that
            of the scan.
        depth: number of blocks.
        drop_path: rate of the last block; it rises linearly from 0.
        state, expand, variant, divide_out, tied_decay, kernel: see `BidirectionalMamba`.
    """

    def __init__(
        self,
        stem: nn.Module,
        bins: int,
        steps: int,
        dim: int,
        depth: int,
        order: str = "time",
        class_token: bool = True,
        position: bool = True,
        drop_path: float = 0.0,
        state: int = 16,
        expand: int = 2,
        variant: str = "v2",
        divide_out: bool = True,
        tied_decay: bool = False,
        kernel: str = "auto",
    ) -> None:
        layers = [
            Block(
                BidirectionalMamba(
                    dim,
                    state=state,
                    expand=expand,
                    variant=variant,
                    divide_out=divide_out,
                    tied_decay=tied_decay,
                    kernel=kernel,
                ),
                dim,
                rate,
            )
            for rate in drop_rates(depth, drop_path)
        ]
        super().__init__(stem, layers, bins, steps, dim, order, class_token, position)
        initialise_outputs(self.layers, depth)
