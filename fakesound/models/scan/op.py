"""The scan and its convolution as torch operators that compile and export as one call each.

Forward and backward are separate operators, and autograd is a ``torch.autograd.Function`` around
them, which has the least overhead. The name of the kernel is resolved when an operator runs, so
that an exported program uses the kernel of its machine. The reference is not an operator: autograd
and compilers see its single steps.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from fakesound.models.scan import reference
from fakesound.models.scan.kernels import Kernel, load_kernel, resolve_kernel
from fakesound.models.scan.reference import ScanInputs

_SCAN = (
    "Tensor x, Tensor dt, Tensor A_log, Tensor B, Tensor C, Tensor D, Tensor dt_bias, Tensor? z, "
    "float scale"
)
_CONV = "Tensor x, Tensor weight, Tensor bias"
_EIGHT = ", ".join(["Tensor"] * 8)

_inputs: Callable[..., ScanInputs] = ScanInputs


def bidirectional_scan(
    x: Float[Tensor, "direction batch token channel"],
    dt: Float[Tensor, "direction batch token channel"],
    A_log: Float[Tensor, "direction channel rate"],
    B: Float[Tensor, "direction batch token state"],
    C: Float[Tensor, "direction batch token state"],
    D: Float[Tensor, "direction channel"],
    dt_bias: Float[Tensor, "direction channel"],
    z: Float[Tensor, "batch token channel"] | None,
    *,
    scale: float = 1.0,
    kernel: str = "auto",
) -> Float[Tensor, "batch token channel"]:
    """Return SiLU(z) * scale * sum over directions of (y + D x), in x's dtype.

    h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t and y_t = C_t · h_t, where dt_t is
    softplus(dt_t + dt_bias) and A = -exp(A_log); direction 1 has t + 1 in place of t - 1. All
    tensors are in natural time order. Computed in float32, or in float64 if ``x`` is. Gu & Dao
    2023, algorithm 2; Zhu et al. 2024, algorithm 1. ``reference.py`` explains the letters.

    Args:
        x: outputs of the convolution; may be one tensor expanded over the directions.
        dt: step sizes before bias and softplus.
        A_log: logarithms of the decay rates; with one column, the rate of state n is n times that
            of the column, and the kernel computes one exponential instead of one per state.
        B: input matrix of each token.
        C: output matrix of each token.
        D: skip connection.
        dt_bias: bias of the step sizes.
        z: gate; None for no gate.
        scale: factor of the result.
        kernel: "auto" or a name of `fakesound.models.scan.kernels.KERNELS`.

    Raises:
        ValueError: if shapes do not agree or there are more than two directions.
        InputError: if the kernel does not exist or cannot run on these tensors.
    """
    directions, batch, tokens, channels = x.shape
    _check_directions(directions)
    states = B.shape[-1]
    rates = 1 if A_log.shape[-1] == 1 else states
    _check_shapes(
        dt=(dt, (directions, batch, tokens, channels)),
        A_log=(A_log, (directions, channels, rates)),
        B=(B, (directions, batch, tokens, states)),
        C=(C, (directions, batch, tokens, states)),
        D=(D, (directions, channels)),
        dt_bias=(dt_bias, (directions, channels)),
        z=(z, (batch, tokens, channels)),
    )
    tensors = (x, dt, A_log, B, C, D, dt_bias, z)
    if kernel == "reference":
        return reference.scan(ScanInputs(*tensors, scale))
    if torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors):
        result: Tensor = _Scan.apply(kernel, *tensors, scale)
    else:
        result, _ = torch.ops.fakesound.scan_forward(kernel, False, *tensors, scale)
    return result


def bidirectional_conv(
    x: Float[Tensor, "batch token channel"],
    weight: Float[Tensor, "direction channel width"],
    bias: Float[Tensor, "direction channel"],
    *,
    kernel: str = "auto",
) -> Float[Tensor, "direction batch token channel"]:
    """Return SiLU of the depthwise convolution over time, in x's dtype.

    Direction 0 is causal: token t sees t - width + 1 to t. Direction 1 mirrors it: t sees t to
    t + width - 1, with the last tap on t. So it equals flip, causal convolution, flip.

    Args:
        x: tokens; may be half of a wider tensor.
        weight: taps.
        bias: added before SiLU.
        kernel: "auto" or a name of `fakesound.models.scan.kernels.KERNELS`.

    Raises:
        ValueError: if shapes do not agree or there are more than two directions.
        InputError: if the kernel does not exist or cannot run on these tensors.
    """
    directions, channels, _ = weight.shape
    _check_directions(directions)
    batch, tokens, _ = x.shape
    _check_shapes(x=(x, (batch, tokens, channels)), bias=(bias, (directions, channels)))
    if kernel == "reference":
        return reference.conv(x, weight, bias)
    if torch.is_grad_enabled() and any(t.requires_grad for t in (x, weight, bias)):
        result: Tensor = _Conv.apply(kernel, x, weight, bias)
    else:
        result = torch.ops.fakesound.conv_forward(kernel, x, weight, bias)
    return result


def _check_directions(count: int) -> None:
    if count not in (1, 2):
        raise ValueError(f"{count} directions: must be 1 (forward) or 2")


def _check_shapes(**tensors: tuple[Tensor | None, tuple[int, ...]]) -> None:
    for name, (tensor, shape) in tensors.items():
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {shape}")


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernel: str, *fields: Any) -> Tensor:  # noqa: ANN401
        out: Tensor
        out, checkpoints = torch.ops.fakesound.scan_forward(kernel, True, *fields)
        ctx.kernel = kernel
        *tensors, ctx.scale = fields
        ctx.save_for_backward(checkpoints, *tensors)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        checkpoints, *tensors = ctx.saved_tensors
        *grads, grad_z = torch.ops.fakesound.scan_backward(
            ctx.kernel, grad, checkpoints, *tensors, ctx.scale
        )
        return (None, *grads, None if tensors[-1] is None else grad_z, None)


class _Conv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        kernel: str,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
    ) -> Tensor:
        ctx.kernel = kernel
        ctx.save_for_backward(x, weight, bias)
        out: Tensor = torch.ops.fakesound.conv_forward(kernel, x, weight, bias)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        grads = torch.ops.fakesound.conv_backward(ctx.kernel, grad, *ctx.saved_tensors)
        return (None, *grads)


def _kernel_for(name: str, x: Tensor) -> Kernel:
    kernel = load_kernel(resolve_kernel(name, x.device, x.dtype))
    assert kernel is not None
    return kernel


def _scan_forward(kernel: str, keep: bool, *fields: object) -> tuple[Tensor, Tensor]:
    inputs = _inputs(*fields)
    return _kernel_for(kernel, inputs.x).scan_forward(inputs, keep)


def _fake_scan_forward(kernel: str, keep: bool, *fields: object) -> tuple[Tensor, Tensor]:
    inputs = _inputs(*fields)
    shape = _kernel_for(kernel, inputs.x).checkpoint_shape(inputs) if keep else (0,)
    dtype = torch.promote_types(inputs.x.dtype, torch.float32)
    return inputs.x.new_empty(inputs.x.shape[1:]), inputs.x.new_empty(shape, dtype=dtype)


def _scan_backward(
    kernel: str, grad: Tensor, checkpoints: Tensor, *fields: object
) -> tuple[Tensor, ...]:
    inputs = _inputs(*fields)
    grads = _kernel_for(kernel, inputs.x).scan_backward(grad, inputs, checkpoints)
    return grads if inputs.z is not None else (*grads, _no_gate(grad))


def _fake_scan_backward(
    kernel: str, grad: Tensor, checkpoints: Tensor, *fields: object
) -> tuple[Tensor, ...]:
    inputs = _inputs(*fields)
    grads = tuple(tensor.new_empty(tensor.shape) for tensor in inputs.tensors)
    return grads if inputs.z is not None else (*grads, _no_gate(grad))


def _no_gate(grad: Tensor) -> Tensor:
    """Return an empty gradient of a missing gate, since operators cannot return None."""
    return grad.new_empty(0)


def _conv_forward(kernel: str, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return _kernel_for(kernel, x).conv_forward(x, weight, bias)


def _fake_conv_forward(kernel: str, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return x.new_empty((len(weight), *x.shape))


def _conv_backward(
    kernel: str, grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor
) -> tuple[Tensor, ...]:
    return _kernel_for(kernel, x).conv_backward(grad, x, weight, bias)


def _fake_conv_backward(kernel: str, grad: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
    return tuple(tensor.new_empty(tensor.shape) for tensor in tensors)


def _register(
    name: str, schema: str, implementation: Callable[..., object], fake: Callable[..., object]
) -> None:
    torch.library.define(f"fakesound::{name}", schema)
    torch.library.impl(f"fakesound::{name}", "CompositeExplicitAutograd", implementation)
    torch.library.register_fake(f"fakesound::{name}", fake)


_register(
    "scan_forward",
    f"(str kernel, bool keep, {_SCAN}) -> (Tensor, Tensor)",
    _scan_forward,
    _fake_scan_forward,
)
_register(
    "scan_backward",
    f"(str kernel, Tensor grad, Tensor checkpoints, {_SCAN}) -> ({_EIGHT})",
    _scan_backward,
    _fake_scan_backward,
)
_register("conv_forward", f"(str kernel, {_CONV}) -> Tensor", _conv_forward, _fake_conv_forward)
_register(
    "conv_backward",
    f"(str kernel, Tensor grad, {_CONV}) -> (Tensor, Tensor, Tensor)",
    _conv_backward,
    _fake_conv_backward,
)
