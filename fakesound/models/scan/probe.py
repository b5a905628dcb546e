"""Check that a kernel works, by comparing a small scan and its gradients with plain torch."""

from collections.abc import Callable

import torch
from torch import Tensor

from fakesound.models.scan import chunked
from fakesound.models.scan.reference import ScanInputs

Forward = Callable[[ScanInputs, bool], tuple[Tensor, Tensor]]
Backward = Callable[[Tensor, ScanInputs, Tensor], tuple[Tensor, ...]]


def check(what: str, forward: Forward, backward: Backward, device: str) -> None:
    """Compare ``forward`` and ``backward`` of a kernel with ``chunked`` on ``device``.

    Raises:
        ImportError: naming the kernel ``what``, if it fails or its results differ.
    """
    try:
        pairs = _scan_twice(forward, backward, device)
    except Exception as error:  # a build for other hardware raises many kinds of errors
        raise ImportError(f"{what} does not work: {error}") from error
    if not all(_near(one, other) for one, other in pairs):
        raise ImportError(f"{what} gives wrong results")


def _near(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors differ little relative to their largest value.

    Gradients of a scan in single precision range from thousands to nearly zero.
    """
    return bool((one - other).abs().max() <= 1e-4 * other.abs().max())


def _scan_twice(forward: Forward, backward: Backward, device: str) -> list[tuple[Tensor, Tensor]]:
    """Return a scan and its gradients by a kernel, each with the result of ``chunked``."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device)

    row, states = normal(2, 1, 5, 8), normal(2, 1, 5, 16)
    inputs = ScanInputs(
        row, row, normal(2, 8, 16), states, states, normal(2, 8), normal(2, 8), row[0], 0.5
    )
    out, checkpoints = forward(inputs, True)
    results = (out, *backward(out, inputs, checkpoints))
    right, _ = chunked.scan_forward(inputs, keep=True)
    grads = chunked.scan_backward(out, inputs, right.new_empty(0))
    return list(zip(results, (right, *grads), strict=True))
