"""HiFi-GAN with published weights: log-mel spectrogram to waveform (Kong et al., 2020)."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from fakesound.attacks.spectral import Audio, triangles

SLOPE = 0.1
WIDTH = 512
# strides of the transposed convolutions; their kernels are twice as long
STRIDES = (8, 8, 2, 2)
KERNELS = (3, 7, 11)
DILATIONS = (1, 3, 5)
BANDS = 80
SIZE = 1024
TOP = 8_000.0
FLOOR = 1e-5


@dataclass(frozen=True)
class MelFormat:
    """Mel spectrogram of a vocoder.

    Attributes:
        rate: sample rate in Hz.
        hop: number of samples in a frame.
        window: length of the Hann window in samples.
        shift: constant added to the natural logarithm.
    """

    rate: int
    hop: int
    window: int
    shift: float


UNIVERSAL = MelFormat(22_050, 256, 1024, 0.0)
# undocumented: window and shift were fitted on recordings
CHINESE_16K = MelFormat(16_000, 160, 640, -0.4)


class Branch(nn.Module):
    """Pairs of a dilated and a plain convolution, each pair with a residual connection."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        pad = kernel // 2
        self.convs1 = nn.ModuleList(
            nn.Conv1d(width, width, kernel, dilation=d, padding=d * pad) for d in DILATIONS
        )
        self.convs2 = nn.ModuleList(nn.Conv1d(width, width, kernel, padding=pad) for _ in DILATIONS)

    def forward(self, x: Float[Tensor, "batch width time"]) -> Float[Tensor, "batch width time"]:
        """Return ``x`` after all pairs."""
        for dilated, plain in zip(self.convs1, self.convs2, strict=True):
            added = dilated(functional.leaky_relu(x, SLOPE))
            x = x + plain(functional.leaky_relu(added, SLOPE))
        return x


class HifiGan(nn.Module):
    """Generator V1 of HiFi-GAN, with the parameter names of the published files."""

    def __init__(self) -> None:
        super().__init__()
        widths = [WIDTH >> stage for stage in range(len(STRIDES) + 1)]
        self.conv_pre = nn.Conv1d(BANDS, WIDTH, 7, padding=3)
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(a, b, 2 * stride, stride, padding=stride // 2)
            for a, b, stride in zip(widths[:-1], widths[1:], STRIDES, strict=True)
        )
        self.resblocks = nn.ModuleList(
            Branch(width, kernel) for width in widths[1:] for kernel in KERNELS
        )
        self.conv_post = nn.Conv1d(widths[-1], 1, 7, padding=3)

    def forward(self, mel: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch sample"]:
        """Return the waveform, 256 samples for each frame."""
        x = self.conv_pre(mel)
        count = len(KERNELS)
        for stage, up in enumerate(self.ups):
            x = up(functional.leaky_relu(x, SLOPE))
            branches = self.resblocks[count * stage : count * (stage + 1)]
            x = torch.stack([branch(x) for branch in branches]).mean(dim=0)
        # the published generator leaves this slope at PyTorch's default
        return torch.tanh(self.conv_post(functional.leaky_relu(x))).squeeze(1)


@torch.inference_mode()
def hifigan(path: Path, audio: Audio, form: MelFormat) -> Audio:
    """Resynthesise ``audio`` at ``form.rate`` with the generator at ``path``, aligned in time.

    Args:
        path: published checkpoint, or TorchScript with the suffix ``.ts``.
        audio: audio with a peak just below 1, as in training.
        form: format of the spectrogram in its training.
    """
    padded = np.pad(audio, (0, -len(audio) % form.hop)).astype(np.float32)
    mel = log_mel(torch.from_numpy(padded)[None], form)
    return _network(path)(mel).reshape(-1)[: len(audio)].numpy()


def log_mel(
    audio: Float[Tensor, "batch sample"], form: MelFormat
) -> Float[Tensor, "batch band frame"]:
    """Return the natural logarithm of the mel spectrogram."""
    reach = SIZE - form.hop
    mode = "reflect" if audio.shape[-1] > reach else "constant"
    padded = functional.pad(audio[:, None], (reach // 2, reach - reach // 2), mode)[:, 0]
    window = torch.hann_window(form.window)
    spectrum = torch.stft(
        padded, SIZE, form.hop, form.window, window, center=False, return_complex=True
    )
    filters = torch.from_numpy(slaney_filters(form.rate))
    return (filters @ spectrum.abs()).clamp(min=FLOOR).log() + form.shift


@cache
def slaney_filters(rate: int) -> Float32[np.ndarray, "band bin"]:
    """Return triangular filters of unit area on Slaney's mel scale up to 8 kHz.

    Linear below 1 kHz and logarithmic above (Slaney, "Auditory Toolbox", 1998).
    """
    step, knee, octave = 200 / 3, 15.0, np.log(6.4) / 27
    top = knee + np.log(TOP / 1000) / octave
    mels = np.linspace(0, top, BANDS + 2)
    edges = np.where(mels < knee, mels * step, 1000 * np.exp(octave * (mels - knee)))
    area = 2 / (edges[2:] - edges[:-2])
    return (triangles(edges, SIZE // 2 + 1, rate) * area[:, None]).astype(np.float32)


@cache
def _network(path: Path) -> nn.Module:
    if path.suffix == ".ts":
        with warnings.catch_warnings():
            # PyTorch recommends torch.export, but this file is only published as TorchScript
            warnings.simplefilter("ignore", DeprecationWarning)
            return torch.jit.load(str(path), map_location="cpu").eval()
    network = HifiGan()
    published = torch.load(path, map_location="cpu", weights_only=True)["generator"]
    network.load_state_dict(plain_weights(published))
    return network.eval()


def plain_weights(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return parameters with weight normalisation (``weight_g``, ``weight_v``) multiplied out."""
    plain = {}
    for key, value in published.items():
        name, _, kind = key.rpartition("_")
        if kind == "v":
            norm = value.flatten(1).norm(dim=1).view(-1, 1, 1)
            plain[name] = value * (published[f"{name}_g"] / norm)
        elif kind != "g":
            plain[key] = value
    return plain
