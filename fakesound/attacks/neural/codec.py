"""A neural codec: an encoder, a residual vector quantiser and a decoder."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from fakesound.attacks.neural.mel import FrameBlock

STRIDE = 40
# larger coefficients are companded, so that loud bands do not mask quiet ones
KNEE = 0.01
LOUDEST = 7.0


class Quantiser(nn.Module):
    """Residual vector quantiser: each stage codes the residual of the previous ones.

    Zeghidour et al., "SoundStream: an end-to-end neural audio codec", TASLP 2021, with a codebook
    for each group of channels as in Yang et al., "HiFi-Codec", 2023.
    """

    def __init__(self, width: int, stages: int, groups: int, entries: int) -> None:
        super().__init__()
        codebooks = torch.zeros(stages, groups, entries, width // groups)
        self.codebooks = nn.Parameter(codebooks, requires_grad=False)

    @property
    def size(self) -> int:
        """Number of stages."""
        return len(self.codebooks)

    @torch.no_grad()
    def forward(
        self, latents: Float[Tensor, "batch width frame"], stages: int
    ) -> tuple[Float[Tensor, "batch width frame"], Int[Tensor, "stage batch frame group"]]:
        """Return ``latents`` quantised by the first ``stages`` stages, and the chosen entries."""
        groups = self.codebooks.shape[1]
        rest = latents.transpose(1, 2).unflatten(2, (groups, -1))
        codes = []
        for codebook in self.codebooks[:stages]:
            alike = torch.einsum("btgw,gew->btge", rest, codebook)
            codes.append((codebook.square().sum(2) - 2 * alike).argmin(dim=-1))
            rest = rest - codebook[torch.arange(groups), codes[-1]]
        return latents - rest.flatten(2).transpose(1, 2), torch.stack(codes)


class Codec(nn.Module):
    """Autoencoder with a lapped transform and a residual vector quantiser.

    After Zeghidour et al., 2021, but with one strided and one transposed convolution, which are
    initialised as the MDCT (Princen, Johnson and Bradley, ICASSP 1987) and its inverse, so that
    little training suffices. It has 400 frames a second and four codebooks of 7 bits a stage.
    """

    def __init__(self, hidden: int = 120, stages: int = 4, groups: int = 4) -> None:
        super().__init__()
        self.analysis = nn.Conv1d(1, STRIDE, 2 * STRIDE, STRIDE, padding=STRIDE, bias=False)
        self.before = nn.Sequential(*(FrameBlock(STRIDE, hidden) for _ in range(2)))
        self.quantiser = Quantiser(STRIDE, stages, groups, entries=128)
        self.after = nn.Sequential(*(FrameBlock(STRIDE, hidden, d) for d in (1, 3, 1)))
        self.synthesis = nn.ConvTranspose1d(
            STRIDE, 1, 2 * STRIDE, STRIDE, padding=STRIDE, bias=False
        )
        for transform in (self.analysis, self.synthesis):
            transform.weight.data.copy_(lapped_cosines(STRIDE)[:, None])
        for block in (*self.before, *self.after):
            # blocks are initialised as identities
            nn.init.zeros_(block.narrow.weight)
            nn.init.zeros_(block.narrow.bias)

    def encode(self, audio: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch latent frame"]:
        """Return latents, a frame every `STRIDE` samples, both ends included."""
        return self.before(torch.asinh(self.analysis(audio.unsqueeze(1)) / KNEE))

    def decode(self, latents: Float[Tensor, "batch latent frame"]) -> Float[Tensor, "batch sample"]:
        """Return the audio of ``latents``."""
        companded = self.after(latents).clamp(-LOUDEST, LOUDEST)
        return self.synthesis(torch.sinh(companded) * KNEE).squeeze(1)

    def forward(
        self, audio: Float[Tensor, "batch sample"], stages: int
    ) -> Float[Tensor, "batch sample"]:
        """Encode and decode ``audio`` with the first ``stages`` stages of the quantiser."""
        quantised, _ = self.quantiser(self.encode(audio), stages)
        return self.decode(quantised)


def lapped_cosines(size: int) -> Float[Tensor, "size twice"]:
    """Return the basis of the MDCT with a sine window, which its transpose inverts."""
    sample = torch.arange(2 * size) + 0.5
    window = torch.sin(torch.pi * sample / (2 * size))
    angle = torch.pi / size * torch.outer(torch.arange(size) + 0.5, sample + size / 2)
    return (2 / size) ** 0.5 * window * torch.cos(angle)
