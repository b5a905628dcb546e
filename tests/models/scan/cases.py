"""Inputs and comparisons for tests of the scan."""

import pytest
import torch

from fakesound.models.scan import bidirectional_scan
from fakesound.models.scan.reference import ScanInputs

KERNELS = ("reference", "chunked", "cpu")
EXTREMES = pytest.mark.parametrize(
    ("dt", "A_log"),
    [(30.0, 0.0), (-12.0, 0.0), (0.0, 7.0), (0.0, -9.0), (30.0, 7.0), (-12.0, -9.0)],
    ids=["large dt", "tiny dt", "fast decay", "slow decay", "forgets at once", "forgets nothing"],
)
EVERY_INPUT = pytest.mark.parametrize("name", ["x", "dt", "A_log", "B", "C", "D", "dt_bias", "z"])


def scan_inputs(
    directions=2, batch=2, tokens=5, channels=16, state=8, gated=True, scale=1.0, dt=0.0, A_log=0.0,
    tied=False,
):  # fmt: skip
    """Return random float64 inputs with ``dt`` and ``A_log`` as centres of theirs."""
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


def gradient(inputs):
    """Return a gradient of the scan of ``inputs``, in float64."""
    return torch.randn(inputs.x.shape[1:], generator=torch.Generator().manual_seed(1)).double()


def scan(inputs, kernel, grad=None, device="cpu"):
    """Return the scan and all gradients for the gradient of its output."""
    inputs = inputs.replace_tensors([tensor.to(device) for tensor in inputs.tensors])

    def function(*tensors):
        fields = inputs.replace_tensors(tensors)
        return bidirectional_scan(*fields[:8], scale=fields.scale, kernel=kernel)

    if grad is None:
        return [function(*inputs.tensors)]
    results = with_gradients(function, inputs.tensors, grad.to(device))
    return [result.cpu() for result in results]


def check_scan(inputs, kernel, dtype, tolerance, device="cpu"):
    """Check that a kernel has the scan and gradients of the reference in float64."""
    grad = gradient(inputs)
    expected = scan(inputs, "reference", grad)
    assert_close(scan(to(inputs, dtype), kernel, grad, device), expected, tolerance)


def check_nan(inputs, kernel, name):
    """Check that a NaN in the input ``name`` reaches the output."""
    getattr(inputs, name).view(-1)[3] = torch.nan
    assert scan(inputs, kernel)[0].isnan().any()


def check_operators(inputs, kernel):
    """Check that the operators of the scan pass the checks of torch."""
    forward, backward = (
        getattr(torch.ops.fakesound, name).default for name in ("scan_forward", "scan_backward")
    )
    for keep in (False, True):
        torch.library.opcheck(forward, (kernel, keep, *inputs))
    out, checkpoints = forward(kernel, True, *inputs)
    torch.library.opcheck(backward, (kernel, torch.ones_like(out), checkpoints, *inputs))


def check_conv_operators(x, weight, bias, kernel):
    """Check that the operators of the convolution pass the checks of torch."""
    forward, backward = (
        getattr(torch.ops.fakesound, name).default for name in ("conv_forward", "conv_backward")
    )
    torch.library.opcheck(forward, (kernel, x, weight, bias))
    grad = torch.ones(len(weight), *x.shape)
    torch.library.opcheck(backward, (kernel, grad, x, weight, bias))


def assert_close(actual, expected, tolerance):
    """Check that every tensor is within ``tolerance`` times the largest expected magnitude."""
    assert len(actual) == len(expected)
    for place, (one, other) in enumerate(zip(actual, expected, strict=True)):
        assert one.shape == other.shape
        error = (one.double() - other).abs().max()
        assert error <= tolerance * other.abs().max() + 1e-20, f"tensor {place} is off by {error}"
