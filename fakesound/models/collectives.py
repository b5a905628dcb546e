"""Sums over the processes that train one model together.

A batch that is divided among processes has the loss and the gradient of the whole batch only if
what the examples share, a mean over fake frames or the statistics of a normalisation, is taken
over all of it. Alone, everything here is the identity.
"""

from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def processes() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def summed(values: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Return the sum of ``values`` over all processes; gradients are summed over them as well."""
    return values if processes() == 1 else _Sum.apply(values)


def shared_sum(values: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Return the sum of ``values`` over all processes, for a loss that is the same on each.

    What reaches the gradient is this process's part of the sum, times the number of processes: the
    mean of the gradients, which data parallelism takes, is then that of the sum.
    """
    count = processes()
    if count == 1:
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    return total + count * (values - values.detach())


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:  # noqa: ANN401  # torch's context
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(_: Any, gradient: Tensor) -> Tensor:  # noqa: ANN401
        total = gradient.clone()
        dist.all_reduce(total)
        return total
