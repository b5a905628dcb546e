# mypy: disable-error-code="import-untyped"
"""The Triton kernel: GPU code compiled on the machine itself, so that no CUDA build is needed.

This module passes tensors with their strides to the kernels of ``triton_scan``,
``triton_scan_backward``, ``triton_sums`` and ``triton_conv``, so that views are not copied. Every
call launches a fixed number of kernels and never waits for the device, as CUDA graphs require.

If TRITON_INTERPRET=1 is set before Triton is imported, everything runs on CPU tensors, slowly.
"""

import torch
import triton
from torch import Tensor

from fakesound.models.scan import (
    triton_conv,
    triton_scan,
    triton_scan_backward,
    triton_sums,
)
from fakesound.models.scan.probe import check
from fakesound.models.scan.reference import ScanInputs
from fakesound.models.scan.triton_math import LANES as _LANES
from fakesound.models.scan.triton_math import Rows

LANES: int = _LANES.value
TILE = 16
"""Steps from one kept hidden state to the next."""
STEPS = 8
"""Steps of a run of the backward scan."""

# Fused multiply-add is the default only up to Triton 3.9.
_OPTIONS = {"enable_fp_fusion": True}
# By default, the compiler uses over 200 registers for loads that it moves far ahead. With 168 there
# is room for twelve warps instead of nine, and the hundred bytes that are spilled are read outside
# the loops over states.
_BACKWARD_REGISTERS = 168
# The warps of a program share B and C in the cache; but with fewer programs than this number, which
# fits on an H100, its processors would be loaded unevenly.
_RESIDENT_WARPS = 132 * 12

_GATE_ROWS = 8
_GATE_BLOCK = 128
_CONV_BLOCK = 2 * LANES
_CONV_SPAN = 16
_CONV_BACKWARD_BLOCK = LANES
_CONV_BACKWARD_SPAN = 8
_CONV_BACKWARD_SPANS = 8


def probe(device: str = "cuda") -> None:
    """Compare a scan and its gradients with ``chunked``, if there is a GPU.

    Raises:
        ImportError: if the kernels fail or their results differ.
    """
    if device != "cuda" or torch.cuda.is_available():
        check("the Triton kernel", scan_forward, scan_backward, device)


def scan_forward(inputs: ScanInputs, keep: bool) -> tuple[Tensor, Tensor]:
    """Return the scan and, if ``keep``, the hidden states before each tile of tokens."""
    x, dt, A_log, B, C, D, dt_bias, z, scale = inputs
    directions, batch, tokens, channels = x.shape
    out = x.new_empty(batch, tokens, channels)
    partial = out
    if directions == 2 and out.dtype != torch.float32:
        partial = torch.empty_like(out, dtype=torch.float32)
    checkpoints = x.new_empty(checkpoint_shape(inputs) if keep else (0,), dtype=torch.float32)
    warps = _forward_warps(batch * channels)
    block = LANES * warps
    if out.numel():
        with torch.cuda.device_of(x):
            triton_scan.scan_forward[(batch * triton.cdiv(channels, block),)](
                _rows(x),
                _rows(dt),
                A_log.contiguous(),
                _rows(B),
                _rows(C),
                D.contiguous(),
                dt_bias.contiguous(),
                _rows(x if z is None else z),
                out,
                partial,
                checkpoints,
                *(batch, tokens, channels, float(scale)),
                DIRECTIONS=directions,
                STATES=B.shape[-1],
                TIED=A_log.shape[-1] < B.shape[-1],
                GATED=z is not None,
                KEEP=keep,
                PACK=_pack(B, C),
                TILE=TILE,
                BLOCK=block,
                num_warps=warps,
                **_OPTIONS,
            )
    return out, checkpoints


def scan_backward(grad: Tensor, inputs: ScanInputs, checkpoints: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of ``inputs.tensors``."""
    x, dt, A_log, B, C, D, dt_bias, z, scale = inputs
    directions, batch, tokens, channels = x.shape
    if not x.numel():
        return tuple(torch.zeros_like(tensor) for tensor in inputs.tensors)
    states, rates = B.shape[-1], A_log.shape[-1]
    groups, runs = triton.cdiv(channels, LANES), triton.cdiv(tokens, STEPS)
    programs = (directions * batch, groups)
    grad_x, grad_dt, grad_B, grad_C = (tensor.new_empty(tensor.shape) for tensor in (x, dt, B, C))
    grad_z = x[0] if z is None else z.new_empty(z.shape)
    rows = checkpoints.new_empty(programs[0], runs, states, 2 * STEPS)
    grad_rows = checkpoints.new_empty(*programs, runs, states, 2 * STEPS)
    parts = checkpoints.new_empty(directions, batch, groups, rates + 2, LANES)
    carry = checkpoints.new_empty(*programs, states, LANES)
    starts = checkpoints.new_empty(*programs, TILE // STEPS, states, LANES)
    y = checkpoints.new_empty(0 if z is None else directions, batch, tokens, channels)
    grad_rows_of, gates = _rows(grad), _rows(x if z is None else z)
    sizes = {"STATES": states, "STEPS": STEPS}
    of_runs = sizes | {"PADDED": triton.next_power_of_2(states), "num_warps": 1} | _OPTIONS
    with torch.cuda.device_of(x):
        triton_sums.arrange_rows[(programs[0] * runs,)](
            _rows(B), _rows(C), rows, batch, tokens, **of_runs
        )
        triton_scan_backward.scan_backward[(programs[0] * groups,)](
            *(_rows(x), _rows(dt), A_log.contiguous(), rows),
            *(D.contiguous(), dt_bias.contiguous(), gates, grad_rows_of, checkpoints),
            *(grad_x, grad_dt, grad_rows, y, parts, carry, starts),
            *(batch, tokens, channels, float(scale)),
            TIED=rates < states,
            GATED=z is not None,
            TILE=TILE,
            num_warps=1,
            maxnreg=_BACKWARD_REGISTERS,
            **sizes,
            **_OPTIONS,
        )
        triton_sums.sum_rows[(programs[0] * runs,)](
            grad_rows, grad_B, grad_C, batch, tokens, groups, **of_runs
        )
        if z is not None:
            blocks = triton.cdiv(tokens, _GATE_ROWS) * triton.cdiv(channels, _GATE_BLOCK)
            triton_sums.gate_backward[(batch * blocks,)](
                *(grad_rows_of, gates, y, grad_z, batch, tokens, channels, float(scale)),
                DIRECTIONS=directions,
                ROWS=_GATE_ROWS,
                BLOCK=_GATE_BLOCK,
                **_OPTIONS,
            )
    sums = parts.sum(1).transpose(2, 3).flatten(1, 2)[:, :channels]
    grad_A_log, grad_D, grad_bias = sums[..., :rates], sums[..., rates], sums[..., rates + 1]
    return (
        grad_x,
        grad_dt,
        _like(grad_A_log, A_log),
        grad_B,
        grad_C,
        _like(grad_D, D),
        _like(grad_bias, dt_bias),
        grad_z,
    )[: len(inputs.tensors)]


def checkpoint_shape(inputs: ScanInputs) -> tuple[int | torch.SymInt, ...]:
    """Return (direction, clip, tile, channel / LANES, state, LANES)."""
    directions, batch, tokens, channels = inputs.x.shape
    return (
        *(directions, batch, -(-tokens // TILE)),
        *(-(-channels // LANES), inputs.B.shape[-1], LANES),
    )


def conv_forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the convolution."""
    batch, tokens, channels = x.shape
    directions, _, taps = weight.shape
    out = x.new_empty(directions, batch, tokens, channels)
    if not out.numel():
        return out
    blocks = triton.cdiv(tokens, _CONV_SPAN) * triton.cdiv(channels, _CONV_BLOCK)
    with torch.cuda.device_of(x):
        triton_conv.conv_forward[(batch * blocks,)](
            *(_rows(x), weight.contiguous(), bias.contiguous(), out, batch, tokens, channels),
            DIRECTIONS=directions,
            TAPS=taps,
            SPAN=_CONV_SPAN,
            BLOCK=_CONV_BLOCK,
            num_warps=1,
            **_OPTIONS,
        )
    return out


def conv_backward(grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of x, weight and bias."""
    if not grad.numel():
        return torch.zeros_like(x), torch.zeros_like(weight), torch.zeros_like(bias)
    batch, tokens, channels = x.shape
    directions, _, taps = weight.shape
    grad_x = x.new_empty(x.shape)
    spans = triton.cdiv(tokens, _CONV_BACKWARD_SPAN * _CONV_BACKWARD_SPANS)
    parts = x.new_empty(directions, batch * spans, taps + 1, channels, dtype=torch.float32)
    with torch.cuda.device_of(x):
        triton_conv.conv_backward[(batch * spans * triton.cdiv(channels, _CONV_BACKWARD_BLOCK),)](
            *(_rows(x), weight.contiguous(), bias.contiguous(), _rows(grad), grad_x, parts),
            *(batch, tokens, channels),
            DIRECTIONS=directions,
            TAPS=taps,
            SPAN=_CONV_BACKWARD_SPAN,
            SPANS=_CONV_BACKWARD_SPANS,
            BLOCK=_CONV_BACKWARD_BLOCK,
            num_warps=1,
            **_OPTIONS,
        )
    sums = parts.sum(1)
    return grad_x, _like(sums[:, :taps].transpose(1, 2), weight), _like(sums[:, taps], bias)


def _rows(tensor: Tensor) -> Rows:
    """Return a tensor, with or without directions, and its strides, copied only if necessary."""
    if tensor.stride(-1) != 1:
        tensor = tensor.contiguous()
    direction, clip, token = (0, *tensor.stride()[:-1])[-3:]
    return Rows(tensor, direction, clip, token)


def _pack(B: Tensor, C: Tensor) -> int:
    """Return the number of elements of B and C that can be read as one 64-bit word."""
    pack = 8 // B.element_size()
    whole = all(
        tensor.element_size() == B.element_size()
        and tensor.stride(-1) == 1
        and tensor.data_ptr() % 8 == 0
        and all(size % pack == 0 for size in (tensor.shape[-1], *tensor.stride()[:-1]))
        for tensor in (B, C)
    )
    return pack if whole else 1


def _forward_warps(threads: int) -> int:
    """Return the number of warps of a forward program, given the total number of threads."""
    rounds = threads // LANES // _RESIDENT_WARPS
    return 4 if rounds >= 4 else 2 if rounds >= 2 else 1


def _like(result: Tensor, tensor: Tensor) -> Tensor:
    """Return ``result`` in the dtype of ``tensor``, contiguous."""
    return result.to(tensor.dtype).contiguous()
