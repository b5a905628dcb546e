"""The CPU kernel: numba code on our own threads, for float32 and narrower tensors.

This module hands tensors to the kernels of ``cpu_scan``, ``cpu_scan_backward`` and ``cpu_conv`` as
flat arrays with strides, so that views are not copied. Channels are padded to whole vectors.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from fakesound.models.scan import cpu_conv, cpu_scan, cpu_scan_backward
from fakesound.models.scan.cpu_math import LN_2, LOG2_E
from fakesound.models.scan.cpu_sums import add_up
from fakesound.models.scan.cpu_tile import BLOCK, GROUP, TILE, Floats, Rows
from fakesound.models.scan.lanes import LANES
from fakesound.models.scan.reference import ScanInputs
from fakesound.models.scan.threads import run


def scan_forward(inputs: ScanInputs, keep: bool) -> tuple[Tensor, Tensor]:
    """Return the scan and, if ``keep``, the hidden states before each tile of tokens."""
    padded = _pad_inputs(inputs)
    _, batch, tokens, channels = padded.x.shape
    out = padded.x.new_empty(batch, tokens, channels, dtype=torch.float32)
    shape = checkpoint_shape(inputs) if keep else (0,)
    checkpoints = out.new_empty(shape)
    run(
        cpu_scan.scan_forward,
        batch * _blocks(channels),
        *_arguments(padded, _rates(padded)),
        out.view(-1).numpy(),
        checkpoints.view(-1).numpy(),
        keep,
    )
    return _like(out, inputs.x[0]), checkpoints


def scan_backward(grad: Tensor, inputs: ScanInputs, checkpoints: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of ``inputs.tensors``."""
    padded = _pad_inputs(inputs)
    directions, batch, tokens, channels = padded.x.shape
    states = padded.B.shape[-1]
    columns = states + -states % LANES
    blocks = _blocks(channels)
    rates = _rates(padded)
    grad_x, grad_dt = (checkpoints.new_empty(directions, batch, tokens, channels) for _ in range(2))
    grad_z = checkpoints.new_empty(batch, tokens, channels if inputs.z is not None else 0)
    B_parts, C_parts = (
        checkpoints.new_empty(directions, batch, blocks, tokens, columns) for _ in range(2)
    )
    parts = checkpoints.new_empty(directions, batch, channels // LANES, states + 2, LANES)
    outputs = (grad_x, grad_dt, grad_z, B_parts, C_parts, parts)
    run(
        cpu_scan_backward.scan_backward,
        batch * blocks,
        *_arguments(padded, rates),
        _rows(_pad_last(grad, channels)),
        checkpoints.view(-1).numpy(),
        *(output.view(-1).numpy() for output in outputs),
    )
    sums = add_up(parts, 1)
    grad_A_log = sums[:, :, :states].numpy() * rates * LN_2
    if _tied(inputs):
        grad_A_log = grad_A_log.sum(2, keepdims=True)
    grads = [grad_x, grad_dt, torch.from_numpy(grad_A_log).transpose(2, 3).flatten(1, 2)]
    grads += [add_up(B_parts, 2), add_up(C_parts, 2)]
    grads += [sums[:, :, states + i].reshape(directions, channels).clone() for i in range(2)]
    grads.append(grad_z)
    return tuple(_like(*pair) for pair in zip(grads, inputs.tensors, strict=False))


def checkpoint_shape(inputs: ScanInputs) -> tuple[int | torch.SymInt, ...]:
    """Return (direction, clip, tile, channel / LANES, state, LANES)."""
    directions, batch, tokens, channels = inputs.x.shape
    return (
        *(directions, batch, -(-tokens // TILE)),
        *(-(-channels // LANES), -(-inputs.B.shape[-1] // GROUP) * GROUP, LANES),
    )


def conv_forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the convolution."""
    sizes, arguments = _conv_arguments(x, weight, bias)
    out = torch.empty(sizes)
    tasks = sizes[1] * -(-sizes[2] // cpu_conv.ROWS)
    run(cpu_conv.conv_forward, tasks, sizes, *arguments, out.view(-1).numpy())
    return _like(out, x.expand(sizes[0], *x.shape))


def conv_backward(grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of x, weight and bias."""
    sizes, arguments = _conv_arguments(x, weight, bias)
    directions, batch, tokens, channels = sizes
    taps = weight.shape[2]
    grad_x = torch.empty(batch, tokens, channels)
    parts = torch.empty(directions, batch, taps + 1, channels)
    run(
        cpu_conv.conv_backward,
        batch * _blocks(channels),
        sizes,
        *arguments,
        _rows(_pad_last(grad, channels)),
        grad_x.view(-1).numpy(),
        parts.view(-1).numpy(),
    )
    sums = add_up(parts, 1)
    grad_weight = sums[:, :taps].transpose(1, 2)
    return _like(grad_x, x), _like(grad_weight, weight), _like(sums[:, taps].clone(), bias)


def _arguments(inputs: ScanInputs, rates: Floats) -> tuple[object, ...]:
    """Return the arguments that the forward and backward kernels have in common."""
    x, dt, _, B, C, D, dt_bias, z, scale = inputs
    return (
        (*x.shape, B.shape[-1]),
        _rows(x),
        _rows(dt),
        rates.reshape(-1),
        _tied(inputs),
        _rows(B),
        _rows(C),
        _rows(D.contiguous())[0],
        _rows(dt_bias.contiguous())[0],
        _rows(x if z is None else z),
        z is not None,
        np.float32(scale),
    )


def _conv_arguments(
    x: Tensor, weight: Tensor, bias: Tensor
) -> tuple[cpu_conv.ConvSizes, tuple[object, ...]]:
    """Return the sizes and the other arguments that both kernels have."""
    directions, channels, taps = weight.shape
    channels += -channels % LANES
    x = _pad_last(x, channels)
    weight = _pad_last(weight.mT, channels).contiguous()
    bias = _pad_last(bias, channels).contiguous()
    sizes = (directions, *x.shape)
    return sizes, (tuple(range(taps)), _rows(x), _rows(weight)[0], _rows(bias)[0])


def _rows(tensor: Tensor) -> Rows:
    """Return the float32 memory under ``tensor`` and its strides, copying only if it must."""
    tensor = tensor.detach()
    if tensor.dtype != torch.float32:
        # A tensor expanded over the directions is converted once.
        shared = tensor.dim() == 4 and tensor.stride(0) == 0
        tensor = tensor[:1].float().expand_as(tensor) if shared else tensor.float()
    if tensor.stride(-1) != 1:
        tensor = tensor.contiguous()
    *outer, _ = zip(tensor.shape, tensor.stride(), strict=True)
    span = tensor.shape[-1] + sum((size - 1) * step for size, step in outer)
    flat = tensor.as_strided((span if tensor.numel() else 0,), (1,)).numpy()
    direction, clip, token = (0, 0, *tensor.stride()[:-1])[-3:]
    return flat, (direction, clip, token)


def _rates(inputs: ScanInputs) -> Floats:
    """Return A / ln 2 as (direction, channel / LANES, state, LANES), zeros for padded states.

    By numpy: after each parallel operation of torch its idle threads spin for a while, on the cores
    that the kernel is about to use.
    """
    A_log, states = inputs.A_log, inputs.B.shape[-1]
    directions, channels, rate_count = A_log.shape
    rates = np.exp(A_log.detach().float().numpy()) * -LOG2_E
    if _tied(inputs):
        rates = rates * np.arange(1, states + 1, dtype=np.float32)
    elif rate_count < states:
        rates = np.pad(rates, ((0, 0), (0, 0), (0, states - rate_count)))
    lanes_last = rates.reshape(directions, channels // LANES, LANES, states).swapaxes(2, 3)
    return np.ascontiguousarray(lanes_last)


def _tied(inputs: ScanInputs) -> bool:
    return inputs.A_log.shape[-1] == 1 < inputs.B.shape[-1]


def _blocks(channels: int) -> int:
    return -(-channels // BLOCK)


def _pad_inputs(inputs: ScanInputs) -> ScanInputs:
    """Return ``inputs`` with zeros up to whole vectors of channels and whole groups of states."""
    channels, states = (
        size + -size % multiple
        for size, multiple in ((inputs.x.shape[-1], LANES), (inputs.B.shape[-1], GROUP))
    )
    x, dt, A_log, B, C, D, dt_bias, z, scale = inputs
    return ScanInputs(
        _pad_last(x, channels),
        _pad_last(dt, channels),
        _pad_last(A_log.mT, channels).mT,
        _pad_last(B, states),
        _pad_last(C, states),
        _pad_last(D, channels),
        _pad_last(dt_bias, channels),
        None if z is None else _pad_last(z, channels),
        scale,
    )


def _pad_last(tensor: Tensor, size: int) -> Tensor:
    """Return ``tensor`` with zeros up to ``size`` in the last axis, itself where none are due."""
    extra = size - tensor.shape[-1]
    return pad(tensor, (0, extra)) if extra else tensor


def _like(result: Tensor, tensor: Tensor) -> Tensor:
    """Return ``result`` cut to the shape of ``tensor``, in its dtype, contiguous."""
    if result.shape != tensor.shape:
        for dim, size in enumerate(tensor.shape):
            result = result.narrow(dim, 0, size)
    return result.to(tensor.dtype).contiguous()
