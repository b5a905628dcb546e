"""Spectrograms: computed in the model, on its device, normalised with statistics it keeps.

This is the only module that imports torchaudio.
"""

import importlib
import sys
import types
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fakesound.timeline import FrameGrid


def _import_torchaudio() -> types.ModuleType:
    """Return torchaudio, without its compiled extension where that does not load.

    The Linux wheel on the package index links CUDA and fails beside a CPU build of torch, or one
    for another CUDA. Its transforms are plain Python and need none of it.
    """
    try:
        return importlib.import_module("torchaudio")
    except (OSError, ImportError):
        for name in [name for name in sys.modules if name.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
        extension = types.ModuleType("torchaudio._extension")
        extension.__dict__.update(
            _IS_TORCHAUDIO_EXT_AVAILABLE=False,
            _IS_RIR_AVAILABLE=False,
            _IS_ALIGN_AVAILABLE=False,
            lazy_import_sox_ext=None,
            fail_if_no_align=lambda function: function,
        )
        sys.modules["torchaudio._extension"] = extension
        return importlib.import_module("torchaudio")


torchaudio = _import_torchaudio()

# added to power before the logarithm: the rounding noise of 16 bits is some 20 dB below
POWER_FLOOR = 1e-5


class PowerSpectrogram(torchaudio.transforms.Spectrogram):  # type: ignore[misc,name-defined]
    """Power in Hann windows, as torchaudio has it but without the root that it then squares.

    Args:
        window: samples in a window.
        hop: samples between windows.
    """

    def __init__(self, window: int, hop: int) -> None:
        super().__init__(n_fft=window, hop_length=hop, power=None, center=False)

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch bin window"]:
        """Return the power in each bin."""
        spectrum = super().forward(waveform)
        return spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)


class Spectrogram(nn.Module):
    """Log spectrogram of a waveform in three channels.

    1. As it is, normalised by statistics of the training set, bin by bin.
    2. Less each bin's mean over the clip or crop: what is unlike its surroundings stands out,
       whatever the recording's own colour.
    3. Less the mean of the 5 x 5 points around: texture without level or colour.

    Args:
        kind: "logstft" (linear frequency), "logmel" or "lfcc" (Sahidullah, Kinnunen and Hanilci
            2015: cosine transform of log energies in linear filters).
        sample_rate: samples a second.
        window: samples in an analysis window (Hann).
        hop: samples between windows.
        bins: frequency bins below Nyquist, mel bands, or cepstra.
    """

    channels = 3
    mean: Tensor
    deviation: Tensor
    filters: Tensor | None
    cosine: Tensor | None

    def __init__(self, kind: str, sample_rate: int, window: int, hop: int, bins: int) -> None:
        super().__init__()
        self.kind, self.sample_rate, self.window, self.hop, self.bins = (
            kind,
            sample_rate,
            window,
            hop,
            bins,
        )
        self.spectrum = PowerSpectrogram(window, hop)
        bank = torchaudio.functional
        filters, cosine = None, None
        if kind == "logmel":
            filters = bank.melscale_fbanks(
                window // 2 + 1, 0.0, sample_rate / 2, bins, sample_rate, mel_scale="htk"
            )
        if kind == "lfcc":
            count = max(bins, 128)
            filters = bank.linear_fbanks(window // 2 + 1, 0.0, sample_rate / 2, count, sample_rate)
            cosine = bank.create_dct(bins, count, "ortho")
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("mean", torch.zeros(bins))
        self.register_buffer("deviation", torch.ones(()))

    @torch.no_grad()
    def forward(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> Float[Tensor, "batch 3 bin window"]:
        """Return the spectrogram with ``sample / hop`` windows, each centred in its hop."""
        level = self.level(waveform)
        # in place: on a CPU, touching new memory takes longer than the arithmetic
        own = (level - self.mean[:, None]).div_(self.deviation)
        relative = (level - level.mean(-1, keepdim=True)).mul_(2).div_(self.deviation)
        return torch.stack((own, relative, texture(level)), dim=1)

    def level(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch bin window"]:
        """Return log power (or cepstra) before any normalisation, in single precision."""
        left = (self.window - self.hop) // 2
        with torch.autocast(waveform.device.type, enabled=False):
            padded = functional.pad(waveform.float(), (left, self.window - self.hop - left))
            power = self.spectrum(padded)
            if self.filters is not None:
                power = torch.einsum("bft,fm->bmt", power, self.filters)
            level = power.add_(POWER_FLOOR).log_()
            if self.cosine is not None:
                level = torch.einsum("bmt,mc->bct", level, self.cosine)
            # the transform leaves bins side by side; what follows goes along windows
            return level[:, : self.bins].contiguous()

    @torch.no_grad()
    def fit(self, waveforms: Iterable[Float[Tensor, "batch sample"]]) -> None:
        """Set the statistics from ``waveforms`` of the training set."""
        levels = torch.cat([self.level(waveform) for waveform in waveforms])
        self.mean.copy_(levels.mean((0, 2)))
        self.deviation.copy_((levels - self.mean[:, None]).std().clamp_min(1e-3))

    def windows(self, grid: FrameGrid) -> int:
        """Return the number of windows in a frame of ``grid``."""
        return grid.samples(self.sample_rate) // self.hop


def texture(
    level: Float[Tensor, "batch bin window"], width: int = 5
) -> Float[Tensor, "batch bin window"]:
    """Return ``level`` less the mean of the ``width`` x ``width`` points around, edges repeated."""
    near = width // 2
    padded = functional.pad(level[:, None], (near, near, near, near), mode="replicate")[:, 0]
    # sums of shifted views: many times faster on a CPU than pooling
    rows = _sum_of_shifts(padded, 1, width)
    return torch.sub(level, _sum_of_shifts(rows, 2, width), alpha=1 / width**2)


def _sum_of_shifts(tensor: Tensor, dim: int, width: int) -> Tensor:
    """Return the sums of ``width`` neighbours along ``dim``, where there are so many."""
    length = tensor.shape[dim] - width + 1
    total = tensor.narrow(dim, 0, length).clone()
    for k in range(1, width):
        total += tensor.narrow(dim, k, length)
    return total
