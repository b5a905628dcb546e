"""Batch normalisation over the whole batch, however many processes share it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fakesound.models.collectives import processes, summed


class BatchNorm(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` (Ioffe and Szegedy, ICML 2015) with the statistics of all processes.

    Alone, and outside training, it is torch's own. torch's ``SyncBatchNorm`` takes no tensors of
    CPUs.
    """

    def forward(
        self, input: Float[Tensor, "batch channel band step"]
    ) -> Float[Tensor, "batch channel band step"]:
        """Return ``input`` normalised."""
        if not self.training or processes() == 1:
            return super().forward(input)
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        values = input.float()
        ones = values.new_tensor([values.numel() // values.shape[1]])
        sums = summed(torch.cat((values.sum((0, 2, 3)), ones)))
        number = sums[-1].detach()
        mean = sums[:-1] / number
        centred = values - mean[:, None, None]
        variance = summed(centred.square().sum((0, 2, 3))) / number
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * number / (number - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        found = centred * scale[:, None, None] + self.bias[:, None, None]
        return found.to(input.dtype)
