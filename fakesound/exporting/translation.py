"""Translate the selective scan and its convolution to ONNX operators.

The recurrence of both directions is one ``Scan``; the second direction is reversed in time before
and after it. The result has a few hundred operators; unrolled steps would be tens of thousands.
`fakesound.models.scan.reference` explains the symbols.
"""

from collections.abc import Callable
from typing import Any

import torch
from onnxscript import FLOAT, graph, opset18, script

import fakesound.models.scan  # noqa: F401  # defines the operators

OPSET = 18
op: Any = opset18
# a tensor during translation; it has no public type
Symbol = Any
_LOWEST = -(2**63)


@script()
def recurrence(start: FLOAT, dt: FLOAT, drive: FLOAT, A: FLOAT, B: FLOAT, C: FLOAT) -> FLOAT:
    """Return C_t · h_t where h_t = exp(dt_t A) h_{t-1} + drive_t B_t; time is axis 2.

    Channels are the last axis, so that values shared by all channels multiply whole rows.
    """

    @graph()
    def step(hidden, dt_t, drive_t, B_t, C_t):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        following = op.Exp(dt_t * A) * hidden + drive_t * B_t
        read = op.MatMul(C_t, following)
        return following, read

    _, reads = op.Scan(
        start,
        dt,
        drive,
        B,
        C,
        body=step,
        num_scan_inputs=4,
        scan_input_axes=[2, 2, 2, 2],
        scan_output_axes=[2],
    )
    return reads


def scan_forward(
    kernel: str,
    keep: bool,
    x: Symbol,
    dt: Symbol,
    A_log: Symbol,
    B: Symbol,
    C: Symbol,
    D: Symbol,
    dt_bias: Symbol,
    z: Symbol,
    scale: float,
) -> tuple[Symbol, Symbol]:
    """Translate ``fakesound::scan_forward``."""
    directions, states, channels = x.shape[0], B.shape[-1], x.shape[-1]
    dt = _softplus(dt + op.Unsqueeze(dt_bias, [1, 2]))
    rates = op.Exp(A_log)
    if A_log.shape[-1] != states:
        rates = rates * op.Constant(value_floats=[float(n) for n in range(1, states + 1)])
    A = op.Unsqueeze(op.Transpose(op.Neg(rates), perm=[0, 2, 1]), [1])
    shape = op.Concat(
        op.Shape(x, start=0, end=2), op.Constant(value_ints=[states, channels]), axis=0
    )
    reads = recurrence(
        op.Expand(op.Constant(value_float=0.0), shape),
        op.Unsqueeze(_reversed(dt, directions), [3]),
        op.Unsqueeze(_reversed(dt * x, directions), [3]),
        A,
        op.Unsqueeze(_reversed(B, directions), [4]),
        op.Unsqueeze(_reversed(C, directions), [3]),
    )
    y = _reversed(op.Squeeze(reads, [3]), directions) + x * op.Unsqueeze(D, [1, 2])
    total = op.ReduceSum(y, [0], keepdims=0) * scale
    if z is not None:
        total = total * _silu(z)
    # the second output is only used in training
    return total, op.Constant(value_float=0.0)


def conv_forward(kernel: str, x: Symbol, weight: Symbol, bias: Symbol) -> Symbol:
    """Translate ``fakesound::conv_forward``."""
    directions, channels, width = weight.shape
    across = op.Transpose(x, perm=[0, 2, 1])
    convolved = []
    for direction in range(directions):
        pads = [width - 1, 0] if direction == 0 else [0, width - 1]
        # the last tap belongs to the current token, also in the reversed direction
        taps = op.Slice(_reversed(weight, directions, axis=2), [direction], [direction + 1], [0])
        result = op.Conv(
            across,
            op.Transpose(taps, perm=[1, 0, 2]),
            op.Squeeze(op.Slice(bias, [direction], [direction + 1], [0]), [0]),
            dilations=[1],
            group=channels,
            kernel_shape=[width],
            pads=pads,
            strides=[1],
        )
        convolved.append(op.Unsqueeze(op.Transpose(result, perm=[0, 2, 1]), [0]))
    return _silu(op.Concat(*convolved, axis=0))


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return the translations of the operators of fakesound."""
    return {
        torch.ops.fakesound.scan_forward.default: scan_forward,
        torch.ops.fakesound.conv_forward.default: conv_forward,
    }


def _reversed(tensor: Symbol, directions: int, axis: int = 2) -> Symbol:
    """Reverse the second direction of ``tensor`` along ``axis``."""
    if directions == 1:
        return tensor
    forward = op.Slice(tensor, [0], [1], [0])
    backward = op.Slice(tensor, [1, -1], [2, _LOWEST], [0, axis], [1, -1])
    return op.Concat(forward, backward, axis=0)


def _softplus(tensor: Symbol) -> Symbol:
    # four times faster than Softplus of onnxruntime, which is not vectorised
    one = op.Constant(value_float=1.0)
    return op.Relu(tensor) + op.Log(one + op.Exp(op.Neg(op.Abs(tensor))))


def _silu(tensor: Symbol) -> Symbol:
    return tensor * op.Sigmoid(tensor)
