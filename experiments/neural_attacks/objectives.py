"""What the generators are trained for: spectra alike, then a discriminator deceived."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fakesound.attacks.neural.mel import LogMel

# window lengths of the spectra that are compared, a quarter apart
SIZES = (256, 512, 1024)
# and of those that the discriminators see, half a window apart
JUDGED = (320, 1024)


def spectrum(audio: Float[Tensor, "batch sample"], size: int, hop: int) -> Tensor:
    """Return the complex spectrum, a full-scale sine at 1."""
    window = torch.hann_window(size, device=audio.device)
    found = torch.stft(audio, size, hop, window=window, return_complex=True)
    return found * (2 / window.sum())


def spectral_distance(made: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean of log-magnitude distance and spectral convergence over `SIZES`.

    Yamamoto, Song and Kim, "Parallel WaveGAN", ICASSP 2020.
    """
    total = made.new_zeros(())
    for size in SIZES:
        a, b = (spectrum(audio, size, size // 4).abs().clamp(min=1e-6) for audio in (made, wanted))
        apart = torch.linalg.vector_norm(b - a, dim=(1, 2))
        convergence = apart / torch.linalg.vector_norm(b, dim=(1, 2)).clamp(min=1e-3)
        logs = (a.clamp(min=1e-5).log() - b.clamp(min=1e-5).log()).abs().mean()
        total = total + convergence.mean() + logs
    return total / len(SIZES)


class MelDistance(nn.Module):
    """Mean absolute difference of log-mel spectrograms."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel()

    def forward(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Return the distance in nepers."""
        return (self.mel(made) - self.mel(wanted)).abs().mean()


class Discriminators(nn.Module):
    """Judges of complex spectrograms at two resolutions, patch by patch.

    Défossez et al., "High fidelity neural audio compression", 2022, with few channels. Magnitudes
    are compressed to their power 0.3, so that quiet bins count.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.judges = nn.ModuleList(
            nn.ModuleList(
                (
                    nn.Conv2d(2, width, (7, 3), (2, 1), padding=(3, 1)),
                    nn.Conv2d(width, width, (5, 3), (2, 2), padding=(2, 1)),
                    nn.Conv2d(width, 2 * width, (5, 3), (2, 2), padding=(2, 1)),
                    nn.Conv2d(2 * width, 1, 3, padding=1),
                )
            )
            for _ in JUDGED
        )

    def forward(self, audio: Float[Tensor, "batch sample"]) -> list[list[Tensor]]:
        """Return for each judge what its layers give; the last is the verdict."""
        seen = []
        for size, layers in zip(JUDGED, self.judges, strict=True):
            bins = spectrum(audio, size, size // 2)
            scale = bins.abs().clamp(min=1e-5) ** -0.7
            x = torch.stack((bins.real * scale, bins.imag * scale), dim=1)
            found = []
            for layer in layers[:-1]:
                x = functional.leaky_relu(layer(x), 0.1)
                found.append(x)
            seen.append([*found, layers[-1](x)])
        return seen


def judging_loss(real: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    """Return the least-squares loss of the discriminators."""
    pairs = zip(real, made, strict=True)
    return sum((1 - r[-1]).square().mean() + m[-1].square().mean() for r, m in pairs) / len(real)


def deceiving_loss(real: list[list[Tensor]], made: list[list[Tensor]]) -> Tensor:
    """Return the generator's: least squares, and how far its features are from the real ones."""
    total = made[0][-1].new_zeros(())
    for r, m in zip(real, made, strict=True):
        total = total + (1 - m[-1]).square().mean()
        for a, b in zip(r[:-1], m[:-1], strict=True):
            total = total + 2 * (a.detach() - b).abs().mean() / a.detach().abs().mean()
    return total / len(real)
