"""Sums and batch normalisation over the processes that train one model.

If a batch is divided among processes, statistics over examples, such as a mean over fake frames or
those of a normalisation, must be computed over the whole batch to get its loss and gradient. With
one process, these functions are the identity or those of torch.
"""

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


def process_count() -> int:
    """Return the number of processes that train one model."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def sum_over_processes(values: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Return the sum of ``values`` over all processes; gradients are summed as well."""
    return values if process_count() == 1 else all_reduce(values)


def shared_sum(values: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """Return the sum of ``values`` over all processes, for a loss that is the same on each.

    The gradient is that of this process's term times the number of processes, so that the mean over
    processes, which data parallelism computes, is the gradient of the sum.
    """
    count = process_count()
    if count == 1:
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    return total + count * (values - values.detach())


class BatchNorm(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` (Ioffe and Szegedy, ICML 2015) with the statistics of all processes.

    torch's ``SyncBatchNorm`` does not support CPUs.
    """

    def forward(
        self, input: Float[Tensor, "batch channel band step"]
    ) -> Float[Tensor, "batch channel band step"]:
        """Return ``input`` normalised."""
        if not self.training or process_count() == 1:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        values = input.float()
        ones = values.new_tensor([values.numel() // values.shape[1]])
        sums = sum_over_processes(torch.cat((values.sum((0, 2, 3)), ones)))
        number = sums[-1].detach()
        mean = sums[:-1] / number
        centred = values - mean[:, None, None]
        variance = sum_over_processes(centred.square().sum((0, 2, 3))) / number
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * number / (number - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normalised = centred * scale[:, None, None] + self.bias[:, None, None]
        return normalised.to(input.dtype)
