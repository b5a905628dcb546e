"""Train the generators of the neural attacks on genuine training clips.

python experiments/neural_attacks/train.py neural_istft --root SPEECH [--root SPEECH ...]
"""

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from material import Material
from objectives import (
    Discriminators,
    MelDistance,
    adversarial_loss,
    discriminator_loss,
    spectral_distance,
)
from safetensors.torch import save_file
from torch import Tensor, nn

from fakesound.attacks.neural.codec import Codec
from fakesound.attacks.neural.rendering import NETWORKS, weights_path

# stages of training that are saved, by their share of the steps
STAGES = {"early": 0.2, "middle": 0.6, "late": 1.0}
# share of the steps before the discriminators are used
ADVERSARIAL = 0.6
# share of the steps before the latents of the codec are quantised
UNQUANTISED = 0.04
PEAK_RATE = 2e-3


def main() -> None:
    """Train a generator and write its stages to the weights of the attacks, in half precision."""
    options = arguments(__doc__)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    material = Material(options.root, rng)
    network = NETWORKS[options.name]()
    keep = {round(STAGES[stage] * options.steps): stage for stage in options.keep}
    train(options.name, network, material, options.steps, options.batch, keep, rng)


def arguments(description: str | None, with_name: bool = True) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(description=description)
    if with_name:
        names = ("neural_istft", "neural_upsampling", "neural_rvq")
        parser.add_argument("name", choices=names)
    parser.add_argument("--root", type=Path, action="append", default=[], help="genuine audio")
    parser.add_argument("--keep", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--steps", type=int, default=1_500)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


def train(
    name: str,
    network: nn.Module,
    material: Material,
    steps: int,
    batch: int,
    keep: dict[int, str],
    rng: np.random.Generator,
) -> None:
    """Train ``network`` and write its weights at the steps in ``keep``, which name the stages."""
    discriminators, mel_distance = Discriminators(), MelDistance()
    optimiser = torch.optim.AdamW(network.parameters(), PEAK_RATE, (0.8, 0.99))
    discriminator_optimiser = torch.optim.AdamW(discriminators.parameters(), 5e-4, (0.8, 0.99))
    saved: dict[str, Tensor] = {}
    start, losses = perf_counter(), []
    for step in range(1, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = PEAK_RATE * min(
                step / 100, 0.5 + 0.5 * np.cos(np.pi * step / steps) + 0.05
            )
        target = material.batch(batch)
        output, loss = generate(network, target, step, round(UNQUANTISED * steps), rng)
        mel = mel_distance(output, target)
        loss = loss + spectral_distance(output, target) + 2 * mel
        if step > ADVERSARIAL * steps:
            discriminator_optimiser.zero_grad()
            own = discriminator_loss(discriminators(target), discriminators(output.detach()))
            own.backward()
            discriminator_optimiser.step()
            # the first steps only teach the discriminators
            if step > (ADVERSARIAL + 0.02) * steps:
                with torch.no_grad():
                    real = discriminators(target)
                loss = loss + 0.7 * adversarial_loss(real, discriminators(output))
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        losses.append((loss.item(), mel.item()))
        if step % 50 == 0:
            figures = " ".join(f"{value:.3f}" for value in np.mean(losses[-50:], axis=0))
            print(
                f"{name} step {step} loss, mel {figures} {perf_counter() - start:.0f} s", flush=True
            )
        if step in keep:
            save_stage(name, keep[step], network, saved)


def save_stage(name: str, stage: str, network: nn.Module, saved: dict[str, Tensor]) -> None:
    """Add the weights of ``network`` to ``saved``, and write all of them atomically."""
    saved |= {f"{stage}.{key}": value.half() for key, value in network.state_dict().items()}
    path = weights_path(name)
    temporary = path.with_suffix(".part")
    save_file(saved, temporary)
    temporary.chmod(0o644)
    temporary.replace(path)


def generate(
    network: nn.Module, target: Tensor, step: int, unquantised: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return the reconstruction of ``target``, and the losses of a codec."""
    if not isinstance(network, Codec):
        return network(network.mel(target)), target.new_zeros(())
    latents = network.encode(target)
    loss = target.new_zeros(())
    if step > unquantised:
        quantiser = network.quantiser
        follow(quantiser.codebooks, latents, revive=step % 20 == 1 or step == unquantised + 1)
        quantised, _ = quantiser(latents, int(rng.integers(1, quantiser.size + 1)))
        loss = (latents - quantised).square().mean() / latents.var().detach()
        # straight-through: the gradient of the decoder ignores the quantisation
        latents = latents + (quantised - latents).detach()
    output = network.decode(latents)
    waveform = (output - target).abs().mean(dim=1) / target.abs().mean(dim=1)
    return output, loss + 3 * waveform.mean()


@torch.no_grad()
def follow(codebooks: Tensor, latents: Tensor, revive: bool) -> None:
    """Move each entry a tenth of the way to the mean of the frames that choose it.

    With ``revive``, entries that no frame chooses take the value of a frame at random.
    """
    groups = codebooks.shape[1]
    frames = latents.transpose(1, 2).flatten(0, 1).unflatten(1, (groups, -1))
    for group, rest in enumerate(frames.unbind(1)):
        for codebook in codebooks[:, group]:
            code = torch.cdist(rest, codebook).argmin(dim=1)
            if revive:
                dead = torch.bincount(code, minlength=len(codebook)) == 0
                codebook[dead] = rest[torch.randperm(len(rest))[: len(codebook)]][dead]
                code = torch.cdist(rest, codebook).argmin(dim=1)
            count = torch.bincount(code, minlength=len(codebook))
            total = torch.zeros_like(codebook).index_add_(0, code, rest)
            chosen = count > 0
            codebook[chosen] += 0.1 * (total[chosen] / count[chosen, None] - codebook[chosen])
            rest = rest - codebook[code]


if __name__ == "__main__":
    main()
