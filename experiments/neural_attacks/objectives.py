"""Training losses of the generators: distances of spectra, and an adversarial loss."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fakesound.attacks.neural.mel import LogMel

# window lengths of the compared spectra, with a hop of a quarter
SIZES = (256, 512, 1024)
# window lengths of the spectra of the discriminators, with a hop of a half
DISCRIMINATED = (320, 1024)


def spectrum(audio: Float[Tensor, "batch sample"], size: int, hop: int) -> Tensor:
    """Return the complex spectrum, in which a full-scale sine has magnitude 1."""
    window = torch.hann_window(size, device=audio.device)
    bins = torch.stft(audio, size, hop, window=window, return_complex=True)
    return bins * (2 / window.sum())


def spectral_distance(output: Tensor, target: Tensor) -> Tensor:
    """Return the mean of log-magnitude distance and spectral convergence over `SIZES`.

    Yamamoto, Song and Kim, "Parallel WaveGAN", ICASSP 2020.
    """
    total = output.new_zeros(())
    for size in SIZES:
        a, b = (
            spectrum(audio, size, size // 4).abs().clamp(min=1e-6) for audio in (output, target)
        )
        distance = torch.linalg.vector_norm(b - a, dim=(1, 2))
        convergence = distance / torch.linalg.vector_norm(b, dim=(1, 2)).clamp(min=1e-3)
        logs = (a.clamp(min=1e-5).log() - b.clamp(min=1e-5).log()).abs().mean()
        total = total + convergence.mean() + logs
    return total / len(SIZES)


class MelDistance(nn.Module):
    """Mean absolute difference of log-mel spectrograms."""

    def __init__(self) -> None:
        super().__init__()
        self.mel = LogMel()

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """Return the distance in nepers."""
        return (self.mel(output) - self.mel(target)).abs().mean()


class Discriminators(nn.Module):
    """Discriminators of complex spectrograms at two resolutions, patch by patch.

    Défossez et al., "High fidelity neural audio compression", 2022, with fewer channels. Magnitudes
    are raised to the power 0.3, so that quiet bins count.
    """

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.discriminators = nn.ModuleList(
            nn.ModuleList(
                (
                    nn.Conv2d(2, width, (7, 3), (2, 1), padding=(3, 1)),
                    nn.Conv2d(width, width, (5, 3), (2, 2), padding=(2, 1)),
                    nn.Conv2d(width, 2 * width, (5, 3), (2, 2), padding=(2, 1)),
                    nn.Conv2d(2 * width, 1, 3, padding=1),
                )
            )
            for _ in DISCRIMINATED
        )

    def forward(self, audio: Float[Tensor, "batch sample"]) -> list[list[Tensor]]:
        """Return the outputs of all layers of each discriminator; the last one is its decision."""
        outputs = []
        for size, layers in zip(DISCRIMINATED, self.discriminators, strict=True):
            bins = spectrum(audio, size, size // 2)
            scale = bins.abs().clamp(min=1e-5) ** -0.7
            x = torch.stack((bins.real * scale, bins.imag * scale), dim=1)
            features = []
            for layer in layers[:-1]:
                x = functional.leaky_relu(layer(x), 0.1)
                features.append(x)
            outputs.append([*features, layers[-1](x)])
        return outputs


def discriminator_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Return the least-squares loss of the discriminators."""
    pairs = zip(real, fake, strict=True)
    return sum((1 - r[-1]).square().mean() + f[-1].square().mean() for r, f in pairs) / len(real)


def adversarial_loss(real: list[list[Tensor]], fake: list[list[Tensor]]) -> Tensor:
    """Return the loss of the generator: least squares, and the distance of the features."""
    total = fake[0][-1].new_zeros(())
    for r, f in zip(real, fake, strict=True):
        total = total + (1 - f[-1]).square().mean()
        for a, b in zip(r[:-1], f[:-1], strict=True):
            total = total + 2 * (a.detach() - b).abs().mean() / a.detach().abs().mean()
    return total / len(real)
