"""Spectrograms, computed in the model on its device and normalised by statistics in its state.

This is the only module that imports torchaudio.
"""

import importlib
import math
import sys
import types
import warnings
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fakesound.timeline import FrameGrid


def _import_torchaudio() -> types.ModuleType:
    """Return torchaudio, without its compiled extension if that does not load.

    The Linux wheel on the package index links CUDA, and fails with a CPU build of torch or one for
    another CUDA. Its transforms are plain Python and do not need the extension.
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

# added to power before the logarithm, about 20 dB above the rounding noise of 16 bits
POWER_FLOOR = 1e-5
# number of channels of log power and of phase; kind "mel" has one channel
POWER, PHASE = 3, 3
# points on each side of the square whose mean is subtracted in the third channel
TEXTURE = 5
# half a 16-bit step, the threshold of silence from this peak on, and its lowest share, for 24 bits
HALF_STEP, ORDINARY_PEAK, FINEST = 2.0**-16, 0.1, 2.0**-9
# recordings below this level, in dBFS, get the gain of this level
QUIETEST = -70.0
# lowest deviation of a bin over time, in nepers, that its level is divided by
STEADIEST = 0.5


class Spectrum(torchaudio.transforms.Spectrogram):  # type: ignore[misc,name-defined]
    """Short-time Fourier transform with Hann windows, as real and imaginary parts.

    On a CPU, evaluation uses double precision.

    Args:
        window: length of a window in samples.
        hop: step between windows in samples.
    """

    def __init__(self, window: int, hop: int) -> None:
        super().__init__(n_fft=window, hop_length=hop, power=None, center=False)

    def forward(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> tuple[Float[Tensor, "batch bin window"], Float[Tensor, "batch bin window"]]:
        """Return the real and the imaginary part of each bin."""
        if self.training or waveform.device.type != "cpu":
            spectrum = super().forward(waveform)
            return spectrum.real, spectrum.imag
        # the rounding error of single precision is relative to the loudest bin and changes the
        # logarithm of quiet bins: scores would differ by 2e-4 between implementations
        spectrum = torch.stft(
            waveform.double(),
            self.n_fft,
            self.hop_length,
            window=torch.hann_window(self.n_fft, dtype=torch.float64),
            center=False,
            return_complex=True,
        )
        return spectrum.real.float(), spectrum.imag.float()


class Spectrogram(nn.Module):
    """Log spectrogram of a waveform in three channels, and phase in three more.

    Kind "mel" has one channel: power of mel bands, normalised by one mean and one deviation.

    1. Log power, normalised by the mean of each bin and one deviation over the training set.
    2. Log power minus the mean of each bin over the clip or crop, which removes the colour of the
       recording and shows local differences.
    3. Log power minus the mean of the surrounding 5 x 5 points: texture without level or colour.
    4. and 5. Real and imaginary part of the deviation of the instantaneous frequency from that of
       the bin, as a unit phasor that is near 0 without sound.
    6. Real part of the phasor of the group delay, from the centre of the window.

    Phase depends more on the process that generated a waveform than on its content (Saratxaga et
    al., Speech Communication 2016). Products of neighbouring points give its derivatives without
    unwrapping.

    Args:
        kind: "logstft" (linear frequency), "logmel", "lfcc" (Sahidullah, Kinnunen and Hanilci
            2015: cosine transform of log energies in linear filters) or "mel" (power of mel bands
            of equal area, as in the 2024 project).
        sample_rate: sample rate in Hz.
        window: length of a Hann window in samples.
        hop: step between windows in samples.
        bins: number of frequency bins below Nyquist, mel bands, or cepstra.
        phase: whether channels 4 to 6 are computed.
        level: level in dBFS to which a clip or crop is scaled; digital silence is then excluded
            from means and zero in all channels. None for no change.
        floor: power added before the logarithm.
        spread: whether channel 2 is divided by the deviation of each bin over the clip or crop,
            instead of one deviation for all.

    Raises:
        ValueError: for phase with a kind that has no linear frequency.
    """

    mean: Tensor
    deviation: Tensor
    filters: Tensor | None
    cosine: Tensor | None
    turn_real: Tensor
    turn_imag: Tensor

    def __init__(
        self,
        kind: str,
        sample_rate: int,
        window: int,
        hop: int,
        bins: int,
        *,
        phase: bool = False,
        level: float | None = None,
        floor: float = POWER_FLOOR,
        spread: bool = False,
    ) -> None:
        super().__init__()
        if phase and kind != "logstft":
            raise ValueError(f"phase of {kind}: only logstft has it")
        self.kind, self.sample_rate, self.window, self.hop, self.bins = (
            kind,
            sample_rate,
            window,
            hop,
            bins,
        )
        self.phase, self.loudness, self.floor, self.spread = phase, level, floor, spread
        self.channels = 1 if kind == "mel" else POWER + PHASE * phase
        self.spectrum = Spectrum(window, hop)
        bank = torchaudio.functional
        filters, cosine = None, None
        if kind in ("logmel", "mel"):
            with warnings.catch_warnings():
                # with many bands, the lowest are narrower than a bin and zero
                warnings.filterwarnings("ignore", message="At least one mel filterbank")
                filters = bank.melscale_fbanks(
                    window // 2 + 1,
                    0.0,
                    sample_rate / 2,
                    bins,
                    sample_rate,
                    norm="slaney" if kind == "mel" else None,
                    mel_scale="htk",
                )
        if kind == "lfcc":
            count = max(bins, 128)
            filters = bank.linear_fbanks(window // 2 + 1, 0.0, sample_rate / 2, count, sample_rate)
            cosine = bank.create_dct(bins, count, "ortho")
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("cosine", cosine, persistent=False)
        self.register_buffer("mean", torch.zeros(bins))
        self.register_buffer("deviation", torch.ones(()))
        # reverses the rotation of a sinusoid at the centre of a bin from window to window
        turns = (torch.arange(bins) * hop) % window
        angle = -2 * math.pi / window * turns.double()
        self.register_buffer("turn_real", angle.cos().float()[:, None], persistent=False)
        self.register_buffer("turn_imag", angle.sin().float()[:, None], persistent=False)

    @torch.no_grad()
    def forward(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> Float[Tensor, "batch channel bin window"]:
        """Return the spectrogram with ``sample / hop`` windows, each centred in its hop."""
        level, phase = self._analysed(waveform)
        sounds = self.active(waveform)
        # in place, since allocating memory takes longer than the arithmetic on a CPU
        own = (level - self.mean[:, None]).div_(self.deviation)
        if self.kind == "mel":
            channels = own[:, None]
        else:
            relative = self._relative(level, sounds)
            channels = torch.stack((own, relative, texture(level), *phase), dim=1)
        return channels if sounds is None else channels.mul_(sounds[:, None, None])

    def active(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> Float[Tensor, "batch window"] | None:
        """Return 1 for windows whose hop is not digital silence, else 0; None without a level."""
        if self.loudness is None:
            return None
        hops = waveform.abs().unflatten(1, (-1, self.hop)).amax(2)
        return (hops > _silence(waveform)).to(torch.float32)

    def level(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch bin window"]:
        """Return log power (cepstra, power) before any normalisation, in single precision."""
        return self._analysed(waveform)[0]

    def _analysed(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> tuple[Float[Tensor, "batch bin window"], list[Float[Tensor, "batch bin window"]]]:
        """Return log power (cepstra, power), and the channels of phase."""
        left = (self.window - self.hop) // 2
        with torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.float()
            if self.loudness is not None:
                waveform = waveform * self._gain(waveform)
            padded = functional.pad(waveform, (left, self.window - self.hop - left))
            real, imag = self.spectrum(padded)
            power = real.square().addcmul_(imag, imag)
            phase: list[Tensor] = []
            if self.phase:
                # contiguous along windows, since the transform is contiguous along bins
                near = slice(0, self.bins)
                phase = self._derivatives(real[:, near].contiguous(), imag[:, near].contiguous())
            if self.filters is not None:
                power = torch.einsum("bft,fm->bmt", power, self.filters)
            level = power if self.kind == "mel" else power.add_(self.floor).log_()
            if self.cosine is not None:
                level = torch.einsum("bmt,mc->bct", level, self.cosine)
            return level[:, : self.bins].contiguous(), phase

    def _derivatives(
        self, real: Float[Tensor, "batch bin window"], imag: Float[Tensor, "batch bin window"]
    ) -> list[Float[Tensor, "batch bin window"]]:
        """Return both parts of the frequency deviation, and the real part of the group delay."""
        # times the conjugate of the previous window, which is zero for the first
        before_real, before_imag = (functional.pad(part[..., :-1], (1, 0)) for part in (real, imag))
        across = real * before_real + imag * before_imag
        along = imag * before_real - real * before_imag
        size = torch.sqrt(across.square() + along.square()) + self.floor
        turned = across * self.turn_real - along * self.turn_imag
        deviation = across * self.turn_imag + along * self.turn_real
        # times the conjugate of the bin below; negated, since delay is from the centre of a window
        below_real, below_imag = (
            functional.pad(part[:, :-1], (0, 0, 1, 0)) for part in (real, imag)
        )
        delay = real * below_real + imag * below_imag
        other = imag * below_real - real * below_imag
        length = torch.sqrt(delay.square() + other.square()) + self.floor
        return [turned.div_(size), deviation.div_(size), delay.div_(length).neg_()]

    def _gain(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch 1"]:
        """Return the factor that brings the waveform without silence to the level."""
        assert self.loudness is not None
        energy = waveform.square().sum(1, keepdim=True)
        count = (waveform.abs() > _silence(waveform)).sum(1, keepdim=True).clamp(min=1)
        power = (energy / count).clamp(min=10 ** (QUIETEST / 10))
        return 10 ** (self.loudness / 20) / power.sqrt()

    def _relative(
        self, level: Float[Tensor, "batch bin window"], sounds: Float[Tensor, "batch window"] | None
    ) -> Float[Tensor, "batch bin window"]:
        """Return ``level`` minus the mean of each bin over time, divided by a deviation."""
        if sounds is None:
            centred = level - level.mean(-1, keepdim=True)
            weight = None
        else:
            weight = (sounds / sounds.sum(1, keepdim=True).clamp(min=1))[:, None]
            centred = level - (level * weight).sum(-1, keepdim=True)
        if not self.spread:
            return centred.mul_(2).div_(self.deviation)
        square = centred.square()
        variance = square.mean(-1, keepdim=True)
        if weight is not None:
            variance = (square * weight).sum(-1, keepdim=True)
        return centred.div_(variance.sqrt().clamp(min=STEADIEST))

    @torch.no_grad()
    def fit(self, waveforms: Iterable[Float[Tensor, "batch sample"]]) -> None:
        """Set the statistics from ``waveforms`` of the training set."""
        levels: list[tuple[Tensor, Tensor]] = []
        for waveform in waveforms:
            level, sounds = self.level(waveform), self.active(waveform)
            weight = torch.ones_like(level[:, 0]) if sounds is None else sounds
            levels.append((level, weight[:, None]))
        number = torch.stack([weight.sum() for _, weight in levels]).sum().clamp(min=1)
        total = torch.stack([(level * weight).sum((0, 2)) for level, weight in levels]).sum(0)
        mean = total / number
        if self.kind == "mel":
            mean = mean.mean().expand(self.bins)
        squares = [((level - mean[:, None]).square() * weight).sum() for level, weight in levels]
        variance = torch.stack(squares).sum() / (number * self.bins - 1).clamp(min=1)
        self.mean.copy_(mean)
        self.deviation.copy_(variance.sqrt().clamp_min(1e-3))

    def windows(self, grid: FrameGrid) -> int:
        """Return the number of windows in a frame of ``grid``."""
        return grid.samples(self.sample_rate) // self.hop


def _silence(waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch 1"]:
    """Return the amplitude up to which samples are digital silence.

    It is half a 16-bit step, since lossy codecs decode silence to small values. It is lower for
    quiet waveforms, which may have more bits.
    """
    peak = waveform.abs().amax(1, keepdim=True)
    return HALF_STEP * (peak / ORDINARY_PEAK).clamp(FINEST, 1.0)


def texture(level: Float[Tensor, "batch bin window"]) -> Float[Tensor, "batch bin window"]:
    """Return ``level`` minus the mean of the surrounding 5 x 5 points, with repeated edges."""
    near = TEXTURE // 2
    padded = functional.pad(level[:, None], (near, near, near, near), mode="replicate")[:, 0]
    # sums of shifted views are many times faster than pooling on a CPU
    rows = _sum_of_shifts(padded, 1)
    return torch.sub(level, _sum_of_shifts(rows, 2), alpha=1 / TEXTURE**2)


def _sum_of_shifts(tensor: Tensor, dim: int) -> Tensor:
    """Return the sums of `TEXTURE` neighbours along ``dim``, without padding."""
    length = tensor.shape[dim] - TEXTURE + 1
    total = tensor.narrow(dim, 0, length).clone()
    for k in range(1, TEXTURE):
        total += tensor.narrow(dim, k, length)
    return total
