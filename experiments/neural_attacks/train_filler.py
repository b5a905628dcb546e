"""Train the network that fills gaps of mel spectrograms, on genuine training clips.

python experiments/neural_attacks/train_filler.py --root SPEECH [--root SPEECH ...]
"""

from time import perf_counter

import numpy as np
import torch
from jaxtyping import Float
from material import Material
from torch import Tensor, nn
from torch.nn import functional
from train import PEAK_RATE, STAGES, arguments, save_stage

from fakesound.attacks.neural.mel import HOP, LogMel, standardised
from fakesound.attacks.neural.rendering import bridge
from fakesound.attacks.neural.spectra import MelFiller

FRAMES = 150
LONGEST = 110
# share of the steps before the discriminator is used
ADVERSARIAL = 0.3


class PatchDiscriminator(nn.Sequential):
    """Discriminator of the patches of a mel spectrogram (Isola et al., CVPR 2017)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__(
            nn.Conv2d(2, width, 4, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(2 * width, 1, 3, padding=1),
        )


def main() -> None:
    """Train the filler and write its stages."""
    options = arguments(__doc__, with_name=False)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    material = Material(options.root, rng)
    filler, discriminator, mel = MelFiller(), PatchDiscriminator(), LogMel()
    optimiser = torch.optim.AdamW(filler.parameters(), PEAK_RATE, (0.8, 0.99))
    discriminator_optimiser = torch.optim.AdamW(discriminator.parameters(), 5e-4, (0.5, 0.99))
    keep = {round(STAGES[stage] * options.steps): stage for stage in options.keep}
    saved: dict[str, Tensor] = {}
    start, losses = perf_counter(), []
    for step in range(1, options.steps + 1):
        target = mel(material.batch(options.batch, (FRAMES - 1) * HOP))
        bridged, missing = gapped(target, rng)
        noise = torch.randn(len(target), MelFiller.NOISE, FRAMES)
        output = filler(bridged, missing, noise)
        distance = ((output - target).abs() * missing).sum() / missing.sum() / target.shape[1]
        loss = distance
        if step > ADVERSARIAL * options.steps:
            real, fake = (patches(discriminator, x, missing) for x in (target, output.detach()))
            discriminator_optimiser.zero_grad()
            ((1 - real).square().mean() + fake.square().mean()).backward()
            discriminator_optimiser.step()
            loss = loss + 0.3 * (1 - patches(discriminator, output, missing)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(distance.item())
        if step % 50 == 0:
            line = f"step {step} mel {np.mean(losses[-50:]):.3f} {perf_counter() - start:.0f} s"
            print(line, flush=True)
        if step in keep:
            save_stage("neural_filler", keep[step], filler, saved)


def gapped(
    mel: Float[Tensor, "clip band frame"], rng: np.random.Generator
) -> tuple[Float[Tensor, "clip band frame"], Float[Tensor, "clip 1 frame"]]:
    """Return ``mel`` with a bridged gap in each clip, and a mask of the gaps.

    A gap has 8 to `LONGEST` frames.
    """
    missing = np.zeros((len(mel), FRAMES), dtype=bool)
    for row in missing:
        size = int(np.exp(rng.uniform(np.log(8), np.log(LONGEST))))
        start = int(rng.integers(0, FRAMES - size + 1))
        row[start : start + size] = True
    bridged = [bridge(one.numpy(), row) for one, row in zip(mel, missing, strict=True)]
    return torch.from_numpy(np.stack(bridged)), torch.from_numpy(missing).float()[:, None]


def patches(discriminator: nn.Module, mel: Tensor, missing: Tensor) -> Tensor:
    """Return the outputs of ``discriminator`` for the patches that overlap a gap."""
    wide = missing[:, :, None].expand(-1, 1, mel.shape[1], -1)
    output = discriminator(torch.cat((standardised(mel)[:, None], wide), dim=1))
    touched = functional.adaptive_max_pool2d(wide, output.shape[2:])
    return output[touched > 0]


if __name__ == "__main__":
    main()
