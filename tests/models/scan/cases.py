"""Inputs for the scan tests, and how results are compared."""

import torch

from fakesound.models.scan.reference import ScanInputs

KERNELS = ("reference", "chunked", "cpu")


def scan_inputs(
    directions=2, batch=2, tokens=5, channels=16, state=8, gated=True, scale=1.0, dt=0.0, A_log=0.0,
    tied=False,
):  # fmt: skip
    """Random float64 inputs; ``dt`` and ``A_log`` are the centres of theirs."""
    generator = torch.Generator().manual_seed(directions + 10 * tokens + channels)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return ScanInputs(
        normal(directions, batch, tokens, channels),
        dt + normal(directions, batch, tokens, channels),
        A_log + normal(directions, channels, 1 if tied else state),
        normal(directions, batch, tokens, state),
        normal(directions, batch, tokens, state),
        normal(directions, channels),
        normal(directions, channels),
        normal(batch, tokens, channels) if gated else None,
        scale,
    )


def to(inputs, dtype):
    return inputs.replace_tensors([tensor.to(dtype) for tensor in inputs.tensors])


def with_gradients(function, tensors, grad):
    """Return the result of ``function(*tensors)`` and the gradients at every tensor."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in tensors]
    result = function(*leaves)
    return [result.detach(), *torch.autograd.grad(result, leaves, grad.to(result.dtype))]


def assert_close(actual, expected, tolerance):
    """Fail unless every tensor is within ``tolerance`` times the largest expected magnitude."""
    assert len(actual) == len(expected)
    for place, (one, other) in enumerate(zip(actual, expected, strict=True)):
        assert one.shape == other.shape
        error = (one.double() - other).abs().max()
        assert error <= tolerance * other.abs().max() + 1e-20, f"tensor {place} is off by {error}"
