"""Mean and deviation over time, as a reference for the frames of a recording."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

# largest number of bands
BANDS = 16
DROPOUT = 0.2


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
        self.together = max(1, bands // BANDS)
        count = 2 * width * (bands // self.together)
        self.norm = nn.LayerNorm(count)
        self.dropout = nn.Dropout(DROPOUT)
        self.proj = nn.Linear(count, dim)
        nn.init.trunc_normal_(self.proj.weight, std=0.02)
        nn.init.zeros_(self.proj.bias)

    def forward(
        self,
        grid: Float[Tensor, "batch width band step"],
        sounds: Bool[Tensor, "batch step"],
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
        found: Tensor = self.proj(self.dropout(self.norm(torch.cat((mean, spread), 1).flatten(1))))
        return found
