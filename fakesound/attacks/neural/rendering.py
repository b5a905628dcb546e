"""Run the neural generators with the weights of the training data; imports torch."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from safetensors.torch import load_file
from scipy import ndimage
from torch import Tensor, nn

from fakesound.attacks.neural.codec import Codec
from fakesound.attacks.neural.mel import FLOOR, HOP, SIZE, LogMel
from fakesound.attacks.neural.spectra import MelFiller, SpectrumVocoder
from fakesound.attacks.neural.upsampling import UpsamplingVocoder
from fakesound.attacks.spectral import Audio
from fakesound.data.training_data import training_data

LogMelArray = Float32[np.ndarray, "band frame"]

NETWORKS: dict[str, type[nn.Module]] = {
    "neural_istft": SpectrumVocoder,
    "neural_upsampling": UpsamplingVocoder,
    "neural_rvq": Codec,
    "neural_filler": MelFiller,
}
# largest noise on weights, relative to the standard deviation of each tensor
LARGEST_NOISE = 0.03
# share of clips without noise on weights, and without blurred spectrograms
CLEAN = 0.4


def weights_path(name: str) -> Path:
    """Return the path of the weights of the generator ``name``, for all stages of training."""
    return training_data("attack_weights", name) / f"{name}.safetensors"


@cache
def read_stages(name: str) -> dict[str, dict[str, Tensor]]:
    """Return the weights of a generator by stage of training."""
    stages: dict[str, dict[str, Tensor]] = {}
    for key, value in sorted(load_file(weights_path(name)).items()):
        stage, parameter = key.split(".", 1)
        stages.setdefault(stage, {})[parameter] = value.float()
    return stages


def build_network(name: str, stage: str) -> nn.Module:
    """Return the generator ``name`` with the weights of a ``stage`` of its training."""
    network = NETWORKS[name]()
    network.load_state_dict(read_stages(name)[stage])
    return network.eval()


@torch.inference_mode()
def render(name: str, audio: Audio, rng: np.random.Generator) -> Audio:
    """Resynthesise ``audio`` at 16 kHz with the generator ``name``, aligned in time.

    The stage of training, a little noise on the weights, the number of codebooks and errors of the
    mel spectrogram, as a model that predicts it would make, are drawn at random.
    """
    network = perturbed_network(name, rng)
    samples = whole_frames(audio)
    if isinstance(network, Codec):
        output = network(samples, int(rng.integers(1, network.quantiser.size + 1)))
    else:
        mel = blurred(LogMel()(samples)[0].numpy(), rng)
        output = network(torch.from_numpy(mel)[None])
    return output[0, : len(audio)].numpy()


@torch.inference_mode()
def fill(audio: Audio, gaps: Sequence[slice], rng: np.random.Generator) -> Audio:
    """Fill the ``gaps`` of ``audio`` at 16 kHz, which is zero there.

    The mel spectrogram is filled from its context. The whole output of the vocoder is returned.
    """
    mel = LogMel()(whole_frames(audio))
    # frames whose windows overlap a gap are predicted too
    centres = np.arange(mel.shape[-1]) * HOP
    missing = np.zeros(mel.shape[-1], dtype=bool)
    for gap in gaps:
        missing |= (centres > gap.start - SIZE // 2) & (centres < gap.stop + SIZE // 2)
    bridged = torch.from_numpy(bridge(mel[0].numpy(), missing))[None]
    noise = rng.standard_normal((1, MelFiller.NOISE, len(missing)), np.float32)
    mask = torch.from_numpy(missing.astype(np.float32))[None, None]
    filled = perturbed_network("neural_filler", rng)(bridged, mask, torch.from_numpy(noise))
    output = perturbed_network("neural_istft", rng)(filled)
    return output[0, : len(audio)].numpy()


def bridge(mel: LogMelArray, missing: Bool[np.ndarray, " frame"]) -> LogMelArray:
    """Return ``mel`` with the missing frames interpolated linearly."""
    if missing.all():
        return np.full_like(mel, np.log(FLOOR))
    frame = np.arange(len(missing))
    lines = [np.interp(frame, frame[~missing], band[~missing]) for band in mel]
    return np.stack(lines).astype(np.float32)


def perturbed_network(name: str, rng: np.random.Generator) -> nn.Module:
    """Return the generator ``name`` at a random stage, usually with noise on its weights."""
    stages = list(read_stages(name))
    network = build_network(name, stages[int(rng.integers(len(stages)))])
    noise = 0.0 if rng.random() < CLEAN else float(rng.uniform(0, LARGEST_NOISE))
    for parameter in network.parameters():
        noise_values = torch.from_numpy(rng.standard_normal(parameter.shape, np.float32))
        spread = parameter.std() if parameter.numel() > 1 else parameter.abs().mean()
        parameter.add_(noise * spread * noise_values)
    return network


def whole_frames(audio: Audio) -> Float[Tensor, "1 sample"]:
    """Return ``audio`` as a batch, padded with zeros to a whole number of frames."""
    return torch.from_numpy(np.pad(audio, (0, -len(audio) % HOP)))[None]


def blurred(mel: LogMelArray, rng: np.random.Generator) -> LogMelArray:
    """Return a log-mel spectrogram unchanged, smoothed, rounded or with noise, at random."""
    kind = rng.choice(["none", "smooth", "round", "noise"], p=[CLEAN, 0.3, 0.15, 0.15])
    if kind == "smooth":
        return ndimage.gaussian_filter(mel, (rng.uniform(0, 1.0), rng.uniform(0.5, 2.0)))
    if kind == "round":
        step = np.float32(rng.uniform(0.2, 1.0))
        return np.round(mel / step) * step
    if kind == "noise":
        noise_values = rng.standard_normal(mel.shape, np.float32)
        return mel + np.float32(rng.uniform(0.1, 0.5)) * ndimage.gaussian_filter(
            noise_values, (0, 1)
        )
    return mel
