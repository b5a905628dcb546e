"""The CPU kernel: numba code on our own threads, for float32 and narrower tensors.

This module hands tensors to the kernels of ``cpu_scan``, ``cpu_scan_backward`` and ``cpu_conv`` as
flat arrays with strides, so that views are not copied. Channels are padded to whole vectors.
"""

from time import perf_counter

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from fakesound.models.scan import cpu_conv, cpu_scan, cpu_scan_backward
from fakesound.models.scan.cpu_math import LN_2, LOG2_E
from fakesound.models.scan.cpu_scan import BLOCK, TILE, Floats, Rows, Sizes
from fakesound.models.scan.cpu_sums import add_up
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
        *_arguments(padded, _rates(padded.A_log)),
        out.view(-1).numpy(),
        checkpoints.view(-1).numpy(),
        keep,
    )
    return _like(out, inputs.x[0]), checkpoints


def scan_backward(grad: Tensor, inputs: ScanInputs, checkpoints: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of ``inputs.tensors``."""
    padded = _pad_inputs(inputs)
    directions, batch, tokens, channels = padded.x.shape
    states = inputs.A_log.shape[2]
    blocks = _blocks(channels)
    rates = _rates(padded.A_log)
    grad_x, grad_dt = (checkpoints.new_empty(directions, batch, tokens, channels) for _ in range(2))
    grad_z = checkpoints.new_empty(batch, tokens, channels if inputs.z is not None else 0)
    B_parts, C_parts = (
        checkpoints.new_empty(directions, batch, blocks, tokens, states) for _ in range(2)
    )
    parts = checkpoints.new_empty(directions, batch, channels // LANES, states + 2, LANES)
    outputs = (grad_x, grad_dt, grad_z, B_parts, C_parts, parts)
    run(
        cpu_scan_backward.scan_backward,
        batch * blocks,
        *_arguments(padded, rates),
        _rows(_pad_channels(grad, channels)),
        checkpoints.view(-1).numpy(),
        *(output.view(-1).numpy() for output in outputs),
    )
    sums = add_up(parts, 1)
    grad_A_log = sums[:, :, :states].numpy() * rates * LN_2
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
        *(-(-channels // LANES), inputs.A_log.shape[2], LANES),
    )


def conv_forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the convolution."""
    sizes, arguments, tasks = _conv_arguments(x, weight, bias)
    out = torch.empty(sizes[:4])
    run(cpu_conv.conv_forward, tasks, sizes, *arguments, out.view(-1).numpy())
    return _like(out, x.expand(sizes[0], *x.shape))


def conv_backward(grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of x, weight and bias."""
    sizes, arguments, tasks = _conv_arguments(x, weight, bias)
    directions, batch, tokens, channels, taps = sizes
    grad_x = torch.empty(batch, tokens, channels)
    parts = torch.empty(directions, batch, taps + 1, channels)
    run(
        cpu_conv.conv_backward,
        tasks,
        sizes,
        *arguments,
        _rows(_pad_channels(grad, channels)),
        grad_x.view(-1).numpy(),
        parts.view(-1).numpy(),
    )
    sums = add_up(parts, 1)
    grad_weight = sums[:, :taps].transpose(1, 2)
    return _like(grad_x, x), _like(grad_weight, weight), _like(sums[:, taps].clone(), bias)


def warm_up() -> float:
    """Compile every kernel, or read it from numba's cache, and return the seconds that took."""
    start = perf_counter()
    row = torch.zeros(1, 1, 1, LANES)
    vector = torch.zeros(1, LANES)
    matrix = torch.zeros(1, LANES, 1)
    inputs = ScanInputs(row, row, matrix, row[..., :1], row[..., :1], vector, vector, row[0], 1.0)
    out, checkpoints = scan_forward(inputs, keep=True)
    scan_backward(out, inputs, checkpoints)
    conv_backward(conv_forward(row[0], matrix, vector), row[0], matrix, vector)
    return perf_counter() - start


def _arguments(inputs: ScanInputs, rates: Floats) -> tuple[object, ...]:
    """Return the arguments that the forward and backward kernels have in common."""
    x, dt, A_log, B, C, D, dt_bias, z, scale = inputs
    return (
        (*x.shape, A_log.shape[2]),
        _rows(x),
        _rows(dt),
        rates.reshape(-1),
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
) -> tuple[Sizes, tuple[object, ...], int]:
    """Return the sizes, the other arguments that both kernels have, and the number of tasks."""
    directions, channels, taps = weight.shape
    channels += -channels % LANES
    x = _pad_channels(x, channels)
    weight = _pad_channels(weight.transpose(1, 2), channels).contiguous()
    bias = _pad_channels(bias, channels).contiguous()
    batch, tokens, _ = x.shape
    sizes = (directions, batch, tokens, channels, taps)
    return sizes, (_rows(x), _rows(weight)[0], _rows(bias)[0]), batch * _blocks(channels)


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


def _rates(A_log: Float[Tensor, "direction channel state"]) -> Floats:
    """Return A / ln 2 as (direction, channel / LANES, state, LANES).

    By numpy: after each parallel operation of torch its idle threads spin for a while, on the cores
    that the kernel is about to use.
    """
    directions, channels, states = A_log.shape
    rates = np.exp(A_log.detach().float().numpy()) * -LOG2_E
    lanes_last = rates.reshape(directions, channels // LANES, LANES, states).swapaxes(2, 3)
    return np.ascontiguousarray(lanes_last)


def _blocks(channels: int) -> int:
    return -(-channels // BLOCK)


def _pad_inputs(inputs: ScanInputs) -> ScanInputs:
    channels = inputs.x.shape[-1]
    if channels % LANES == 0:
        return inputs
    channels += -channels % LANES
    x, dt, A_log, B, C, D, dt_bias, z, scale = inputs
    return ScanInputs(
        _pad_channels(x, channels),
        _pad_channels(dt, channels),
        _pad_channels(A_log.transpose(1, 2), channels).transpose(1, 2),
        B,
        C,
        _pad_channels(D, channels),
        _pad_channels(dt_bias, channels),
        None if z is None else _pad_channels(z, channels),
        scale,
    )


def _pad_channels(tensor: Tensor, channels: int) -> Tensor:
    """Return ``tensor`` with zeros up to ``channels`` in the last axis."""
    extra = channels - tensor.shape[-1]
    return pad(tensor, (0, extra)) if extra else tensor


def _like(result: Tensor, tensor: Tensor) -> Tensor:
    """Return ``result`` cut to the shape of ``tensor``, in its dtype, contiguous."""
    for dim, size in enumerate(tensor.shape):
        result = result.narrow(dim, 0, size)
    return result.to(tensor.dtype).contiguous()
