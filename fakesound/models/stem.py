"""Stems, which turn a spectrogram into a grid of tokens."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from fakesound.models.collectives import BatchNorm
from fakesound.models.residual import ResidualBlock

# largest number of bands of the statistics, and their dropout
STATISTICS_BANDS, STATISTICS_DROPOUT = 16, 0.2


class PatchStem(nn.Module):
    """Linear patches, as in the published Vim and AuM; they overlap if the stride is smaller.

    Args:
        channels: number of spectrogram channels.
        dim: width of a token.
        patch: bins and windows of a patch.
        stride: bins and windows from patch to patch.
    """

    def __init__(
        self, channels: int, dim: int, patch: Sequence[int], stride: Sequence[int]
    ) -> None:
        super().__init__()
        self.stride = (stride[0], stride[1])
        # padded on both sides, so that patches are centred in their stride
        excess = [max(0, p - s) for p, s in zip(patch, stride, strict=True)]
        self.pad = nn.ZeroPad2d(
            (excess[1] // 2, excess[1] - excess[1] // 2, excess[0] // 2, excess[0] - excess[0] // 2)
        )
        self.proj = nn.Conv2d(channels, dim, (patch[0], patch[1]), self.stride)

    @property
    def windows(self) -> int:
        """Windows of the spectrogram in one step of the token grid."""
        return self.stride[1]

    def bands(self, bins: int) -> int:
        """Return the number of tokens over frequency for ``bins`` bins."""
        return bins // self.stride[0]

    def forward(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> Float[Tensor, "batch dim band step"]:
        """Return the tokens on their grid."""
        tokens: Tensor = self.proj(self.pad(spectrogram))
        return tokens

    def tokens_and_statistics(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> tuple[Float[Tensor, "batch dim band step"], None]:
        """Return the tokens on their grid, and no statistics."""
        return self(spectrogram), None


class ConvStem(nn.Module):
    """Two-dimensional convolutions with one token for each step in time.

    Neighbouring bins and the windows of a step are first folded into channels, then each
    convolution but the first halves frequency. Artefacts are between harmonics and in texture,
    where local filters at full frequency resolution detect them, but coarse patches do not. Early
    convolutions also ease the training of transformers (Xiao et al., NeurIPS 2021).

    Phase has a separate path, whose first convolution is squared before it is normalised, since the
    spread of the derivatives of phase is the evidence. It joins the power path after the second
    convolution. In a share of training pairs, one of the paths is dropped, so that both learn.

    Args:
        channels: number of spectrogram channels of log power.
        dim: width of a token.
        bins: number of spectrogram bins, a multiple of ``2 ** len(widths)``.
        windows: number of spectrogram windows in one step of the token grid.
        widths: channels of the convolutions.
        blocks: number of residual blocks after each convolution but the first two, whose grids are
            the largest.
        phase: number of spectrogram channels of phase, which follow those of power.
        phase_width: channels of the first convolution of phase.
        drop_power, drop_phase: share of training pairs in which these channels are dropped.
        statistics: whether mean and deviation over time are added to every token.
    """

    def __init__(
        self,
        channels: int,
        dim: int,
        bins: int,
        windows: int,
        widths: Sequence[int],
        blocks: int = 0,
        *,
        phase: int = 0,
        phase_width: int = 12,
        drop_power: float = 0.0,
        drop_phase: float = 0.0,
        statistics: bool = False,
    ) -> None:
        super().__init__()
        self.windows, self.power = windows, channels
        # an attribute, because exported files fold with the first convolution
        self.fold: Callable[[Tensor], Tensor] = partial(fold, windows=windows)
        self.drop_power, self.drop_phase = drop_power, drop_phase
        layers: list[nn.Module] = []
        # number of layers up to the end of each convolution
        ends: list[int] = []
        width_in = channels * 2 * windows
        for index, width in enumerate(widths):
            stride = (1 if index == 0 else 2, 1)
            convolution = nn.Conv2d(width_in, width, 3, stride, padding=1, bias=False)
            layers += [convolution, BatchNorm(width), nn.ReLU(inplace=True)]
            if index > 1 and blocks:
                residual = [ResidualBlock(width, width, 1, 1, 0.0) for _ in range(blocks)]
                # with the ReLU, so that a stem with blocks has the tensor names of one without
                layers[-1] = nn.Sequential(layers[-1], *residual)
            width_in = width
            ends.append(len(layers))
        self.layers = nn.Sequential(*layers)
        joined, after = min(1, len(widths) - 1), min(2, len(widths) - 1)
        self.phase_end, self.statistics_end = ends[joined], ends[after]
        self.phase = None
        if phase:
            stride = 2**joined
            self.phase = PhasePath(phase * 2 * windows, phase_width, widths[joined], stride)
        self.statistics = None
        if statistics:
            self.statistics = Statistics(widths[after], bins // 2 ** (after + 1), dim)
        self.proj = nn.Linear(width_in * (bins // 2 ** len(widths)), dim)
        self.norm = nn.LayerNorm(dim)

    def bands(self, bins: int) -> int:
        """Return 1, since one token covers all frequencies."""
        return 1

    def forward(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> Float[Tensor, "batch dim 1 step"]:
        """Return one token for each step in time."""
        return self.tokens_and_statistics(spectrogram)[0]

    def tokens_and_statistics(
        self, spectrogram: Float[Tensor, "batch channel bin window"]
    ) -> tuple[Float[Tensor, "batch dim 1 step"], Float[Tensor, "batch dim"] | None]:
        """Return one token for each step in time, and the statistics that are added to all."""
        power = spectrogram[:, : self.power]
        grid = self.layers[: self.phase_end](self.fold(power))
        if self.phase is not None:
            phase = self.phase(self.fold(spectrogram[:, self.power :]))
            if self.training and (self.drop_power or self.drop_phase):
                keep_power, keep_phase = self._path_masks(grid)
                grid, phase = grid * keep_power, phase * keep_phase
            grid = grid + phase
        grid = self.layers[self.phase_end : self.statistics_end](grid)
        statistics = None
        if self.statistics is not None:
            # digital silence, also in padding, is zero in all bins
            sounds = (power[:, 0] != 0).any(1).unflatten(1, (-1, self.windows)).any(2)
            statistics = self.statistics(grid, sounds)
        grid = self.layers[self.statistics_end :](grid)
        tokens = self.norm(self.proj(grid.permute(0, 3, 1, 2).flatten(2)))
        if statistics is not None:
            tokens = tokens + statistics[:, None]
        return tokens.transpose(1, 2).unsqueeze(2), statistics

    def _path_masks(
        self, grid: Float[Tensor, "batch ..."]
    ) -> tuple[Float[Tensor, "batch 1 1 1"], Float[Tensor, "batch 1 1 1"]]:
        """Return 0 for examples without power, and without phase, else 1; never 0 for both.

        A fake and its genuine partner, at even and odd positions, get the same values.
        """
        pairs = -(-len(grid) // 2)
        draw = torch.rand(pairs, device=grid.device).repeat_interleave(2)[: len(grid)]
        draw = draw[:, None, None, None]
        power, phase = draw >= self.drop_power, draw < 1 - self.drop_phase
        return power.to(grid.dtype), phase.to(grid.dtype)


class PhasePath(nn.Module):
    """A convolution, its square, and another: measures the spread of the derivatives of phase.

    Args:
        width_in: number of folded channels.
        width: number of squared channels.
        width_out: channels of the power path where it joins.
        stride: stride over frequency of the power path where it joins.
    """

    def __init__(self, width_in: int, width: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width_in, width, 3, padding=1, bias=False)
        self.square_norm = BatchNorm(width)
        self.second = nn.Conv2d(width, width_out, 3, (stride, 1), padding=1, bias=False)
        self.norm = BatchNorm(width_out)
        # small initially, so that a pretrained power path is hardly changed
        nn.init.constant_(self.norm.weight, 0.2)

    def forward(
        self, phase: Float[Tensor, "batch folded band step"]
    ) -> Float[Tensor, "batch width_out new_band step"]:
        """Return the features of phase, which join those of power."""
        spread = self.square_norm(self.first(phase).square())
        return functional.relu(self.norm(self.second(spread)))


class Statistics(nn.Module):
    """Mean and standard deviation over time of channels in bands, as one vector.

    A recording that is fake throughout has no genuine part for comparison, but its statistics
    contain artefacts (Afchar, Meseguer-Brocal and Hennequin, ISMIR 2025). A fake part differs from
    the statistics of its recording.

    Args:
        width: number of channels.
        bands: number of bands of the grid; neighbours are averaged down to at most 16.
        dim: length of the vector.
    """

    def __init__(self, width: int, bands: int, dim: int) -> None:
        super().__init__()
        self.together = max(1, bands // STATISTICS_BANDS)
        count = 2 * width * (bands // self.together)
        self.norm = nn.LayerNorm(count)
        self.dropout = nn.Dropout(STATISTICS_DROPOUT)
        self.proj = nn.Linear(count, dim)
        nn.init.trunc_normal_(self.proj.weight, std=0.02)
        nn.init.zeros_(self.proj.bias)

    def forward(
        self, grid: Float[Tensor, "batch width band step"], sounds: Bool[Tensor, "batch step"]
    ) -> Float[Tensor, "batch dim"]:
        """Return the vector of each example, over the steps in ``sounds``."""
        values = grid.float()
        bands = values.shape[2] // self.together * self.together
        values = values[:, :, :bands].unflatten(2, (-1, self.together)).mean(3)
        weight = sounds.float()
        weight = (weight / weight.sum(1, keepdim=True).clamp(min=1))[:, None, None]
        mean = (values * weight).sum(3)
        square = ((values - mean[..., None]).square() * weight).sum(3)
        # the gradient of a root is infinite at 0
        spread = torch.sqrt(square + 1e-4)
        vector: Tensor = self.proj(self.dropout(self.norm(torch.cat((mean, spread), 1).flatten(1))))
        return vector


def fold(
    spectrogram: Float[Tensor, "batch channel bin window"], windows: int
) -> Float[Tensor, "batch folded band step"]:
    """Return ``spectrogram`` with two neighbouring bins and ``windows`` windows in channels."""
    patches = spectrogram.unflatten(3, (-1, windows)).unflatten(2, (-1, 2))
    patches = patches.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
    # channels last is a third faster on CPUs
    return patches.contiguous(memory_format=torch.channels_last)
