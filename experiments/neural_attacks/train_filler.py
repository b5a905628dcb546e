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
# the discriminator begins after this share of the steps
ADVERSARIAL = 0.3


class PatchJudge(nn.Sequential):
    """Judges a mel spectrogram patch by patch (Isola et al., CVPR 2017)."""

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
    given = arguments(__doc__, with_name=False)
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    material = Material(given.root, rng)
    filler, judge, mel = MelFiller(), PatchJudge(), LogMel()
    optimiser = torch.optim.AdamW(filler.parameters(), PEAK_RATE, (0.8, 0.99))
    judging = torch.optim.AdamW(judge.parameters(), 5e-4, (0.5, 0.99))
    keep = {round(STAGES[stage] * given.steps): stage for stage in given.keep}
    kept: dict[str, Tensor] = {}
    began, seen = perf_counter(), []
    for step in range(1, given.steps + 1):
        wanted = mel(material.batch(given.batch, (FRAMES - 1) * HOP))
        bridged, missing = gapped(wanted, rng)
        noise = torch.randn(len(wanted), MelFiller.NOISE, FRAMES)
        made = filler(bridged, missing, noise)
        apart = ((made - wanted).abs() * missing).sum() / missing.sum() / wanted.shape[1]
        loss = apart
        if step > ADVERSARIAL * given.steps:
            real, fake = (judged(judge, x, missing) for x in (wanted, made.detach()))
            judging.zero_grad()
            ((1 - real).square().mean() + fake.square().mean()).backward()
            judging.step()
            loss = loss + 0.3 * (1 - judged(judge, made, missing)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        seen.append(apart.item())
        if step % 50 == 0:
            line = f"step {step} mel {np.mean(seen[-50:]):.3f} {perf_counter() - began:.0f} s"
            print(line, flush=True)
        if step in keep:
            save_stage("neural_filler", keep[step], filler, kept)


def gapped(
    mel: Float[Tensor, "clip band frame"], rng: np.random.Generator
) -> tuple[Float[Tensor, "clip band frame"], Float[Tensor, "clip 1 frame"]]:
    """Return ``mel`` with one gap a clip bridged, 8 to `LONGEST` frames, and where it is."""
    missing = np.zeros((len(mel), FRAMES), dtype=bool)
    for row in missing:
        size = int(np.exp(rng.uniform(np.log(8), np.log(LONGEST))))
        start = int(rng.integers(0, FRAMES - size + 1))
        row[start : start + size] = True
    bridged = [bridge(one.numpy(), row) for one, row in zip(mel, missing, strict=True)]
    return torch.from_numpy(np.stack(bridged)), torch.from_numpy(missing).float()[:, None]


def judged(judge: nn.Module, mel: Tensor, missing: Tensor) -> Tensor:
    """Return the verdicts on the patches that a gap touches."""
    wide = missing[:, :, None].expand(-1, 1, mel.shape[1], -1)
    verdict = judge(torch.cat((standardised(mel)[:, None], wide), dim=1))
    touched = functional.adaptive_max_pool2d(wide, verdict.shape[2:])
    return verdict[touched > 0]


if __name__ == "__main__":
    main()
