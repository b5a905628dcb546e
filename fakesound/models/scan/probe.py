"""Whether a kernel that imports also works: a small scan and its gradients beside plain torch."""

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
        ImportError: if ``what``, the kernel, fails or computes something else.
    """
    try:
        pairs = _scan_twice(forward, backward, device)
    except Exception as error:  # whatever a build for other hardware raises
        raise ImportError(f"{what} does not work: {error}") from error
    if not all(_near(one, other) for one, other in pairs):
        raise ImportError(f"{what} computes another scan")


def _near(one: Tensor, other: Tensor) -> bool:
    """Return whether two tensors differ little beside their largest value.

    Gradients of a scan reach from thousands down to nearly nothing, all in single precision.
    """
    return bool((one - other).abs().max() <= 1e-4 * other.abs().max())


def _scan_twice(forward: Forward, backward: Backward, device: str) -> list[tuple[Tensor, Tensor]]:
    """Return a scan and its gradients by a kernel, each with what ``chunked`` makes of it."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device)

    row, states = normal(2, 1, 5, 8), normal(2, 1, 5, 16)
    inputs = ScanInputs(
        row, row, normal(2, 8, 16), states, states, normal(2, 8), normal(2, 8), row[0], 0.5
    )
    out, kept = forward(inputs, True)
    found = (out, *backward(out, inputs, kept))
    right, _ = chunked.scan_forward(inputs, keep=True)
    grads = chunked.scan_backward(out, inputs, right.new_empty(0))
    return list(zip(found, (right, *grads), strict=True))
