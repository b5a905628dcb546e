"""The exact scan in plain torch in about 2 sqrt(token) steps, forward and backward, on any device.

The tokens are cut into about sqrt(token) chunks. All chunks are scanned at once from a zero state,
which gives their final states; these are chained over the chunks, and all are scanned again from
their true initial states. There are no divisions and all exponents are negative, so that any decay
is stable. Channels are processed in blocks, which backward recomputes, to bound the memory. The
equations of backward are those of ``cpu_scan_backward``.
"""

from math import isqrt

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad, silu, softplus

from fakesound.models.scan.reference import ScanInputs, conv, conv_before_silu, decay_rates, windows

# Elements of one (batch, token, channel, state) tensor; backward holds a handful of them.
_BLOCK_ELEMENTS = 2**20


def scan_forward(inputs: ScanInputs, keep: bool) -> tuple[Tensor, Tensor]:
    """Return the scan, and no checkpoints."""
    out = torch.cat([_forward(block.wide()) for block in _split(inputs)], dim=-1)
    return out.to(inputs.x.dtype), out.new_empty(checkpoint_shape(inputs))


def scan_backward(grad: Tensor, inputs: ScanInputs, checkpoints: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of ``inputs.tensors``."""
    grads = torch.split(grad, _block_size(inputs), dim=-1)
    blocks = [
        _backward(block_grad.to(checkpoints.dtype), block.wide())
        for block, block_grad in zip(_split(inputs), grads, strict=True)
    ]
    x, dt, A_log, B, C, *rest = zip(*blocks, strict=True)
    joined = [torch.cat(parts, dim=-1) for parts in (x, dt)]
    joined.append(torch.cat(A_log, dim=1))
    joined += [torch.stack(parts).sum(0) for parts in (B, C)]
    joined += [torch.cat(parts, dim=-1) for parts in rest]
    return tuple(
        result.to(tensor.dtype) for result, tensor in zip(joined, inputs.tensors, strict=True)
    )


def checkpoint_shape(inputs: ScanInputs) -> tuple[int | torch.SymInt, ...]:
    """Return an empty shape, since backward needs no checkpoints."""
    return (0,)


def conv_forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the convolution."""
    return conv(x, weight, bias)


def conv_backward(grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of x, weight and bias."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    taps = weight.to(dtype)
    slope = grad * _silu_slope(conv_before_silu(x, weight, bias))
    # The adjoint of a convolution has the opposite direction.
    ahead = [
        windows(slope[direction], weight.shape[2], 1 - direction)
        for direction in range(len(weight))
    ]
    behind = [windows(x.to(dtype), weight.shape[2], direction) for direction in range(len(weight))]
    grad_x = torch.zeros_like(slope[0])
    grad_weight = torch.empty_like(taps)
    for direction in range(len(weight)):
        for tap in range(weight.shape[2]):
            grad_x = grad_x + taps[direction, :, tap] * ahead[direction][tap]
            grad_weight[direction, :, tap] = (slope[direction] * behind[direction][tap]).sum((0, 1))
    return grad_x.to(x.dtype), grad_weight.to(weight.dtype), slope.sum((1, 2)).to(bias.dtype)


def _block_size(inputs: ScanInputs) -> int:
    _, batch, tokens, _ = inputs.x.shape
    return max(1, _BLOCK_ELEMENTS // max(1, batch * tokens * inputs.B.shape[-1]))


def _split(inputs: ScanInputs) -> list[ScanInputs]:
    """Return the inputs of each block of channels."""
    size = _block_size(inputs)
    blocks = []
    for start in range(0, inputs.x.shape[-1], size):
        part = slice(start, start + size)
        blocks.append(
            ScanInputs(
                inputs.x[..., part],
                inputs.dt[..., part],
                inputs.A_log[:, part],
                inputs.B,
                inputs.C,
                inputs.D[:, part],
                inputs.dt_bias[:, part],
                None if inputs.z is None else inputs.z[..., part],
                inputs.scale,
            )
        )
    return blocks


def _forward(inputs: ScanInputs) -> Float[Tensor, "batch token channel"]:
    x, dt, A_log, B, C, D, dt_bias, z, scale = inputs
    delta = softplus(dt + dt_bias[:, None, None], threshold=20)
    total = (D[:, None, None] * x).sum(0)
    for k in range(len(x)):
        decay = torch.exp(delta[k, ..., None] * -decay_rates(A_log[k], B.shape[-1]))
        hidden = _scan(decay, (delta[k] * x[k])[..., None] * B[k, :, :, None], reverse=k == 1)
        total = total + (hidden * C[k, :, :, None]).sum(-1)
    return scale * total * (1 if z is None else silu(z))


def _backward(grad: Tensor, inputs: ScanInputs) -> tuple[Tensor, ...]:
    x, dt, A_log, B, C, D, dt_bias, z, scale = inputs
    raw = dt + dt_bias[:, None, None]
    delta = softplus(raw, threshold=20)
    grad = scale * grad
    dy = grad if z is None else grad * silu(z)
    total = (D[:, None, None] * x).sum(0)
    grads = [torch.empty_like(tensor) for tensor in (x, dt, A_log, B, C)]
    for k in range(len(x)):
        reverse = k == 1
        A = -decay_rates(A_log[k], B.shape[-1])
        drive = delta[k] * x[k]
        decay = torch.exp(delta[k, ..., None] * A)
        hidden = _scan(decay, drive[..., None] * B[k, :, :, None], reverse)
        total = total + (hidden * C[k, :, :, None]).sum(-1)
        # The gradient of a state decays with the next step.
        g = _scan(_shift(decay, not reverse), dy[..., None] * C[k, :, :, None], not reverse)
        p = g * decay * _shift(hidden, reverse)
        g_B = (g * B[k, :, :, None]).sum(-1)
        grads[0][k] = delta[k] * g_B + D[k] * dy
        grads[1][k] = (x[k] * g_B + (p * A).sum(-1)) * torch.sigmoid(raw[k])
        grad_A_log = (delta[k, ..., None] * p).sum((0, 1)) * A
        tied = A_log.shape[-1] == 1
        grads[2][k] = grad_A_log.sum(-1, keepdim=True) if tied else grad_A_log
        grads[3][k] = (g * drive[..., None]).sum(2)
        grads[4][k] = (hidden * dy[..., None]).sum(2)
    grads += [(dy * x).sum((1, 2)), grads[1].sum((1, 2))]
    return (*grads, *([] if z is None else [grad * total * _silu_slope(z)]))


def _silu_slope(z: Tensor) -> Tensor:
    opening = torch.sigmoid(z)
    return opening * (1 + z * (1 - opening))


def _shift(tensor: Tensor, reverse: bool) -> Tensor:
    """Return the values of the previous token in the order of the scan, with zeros at the first."""
    fill = (0, 0, 0, 0, 0, 1) if reverse else (0, 0, 0, 0, 1, 0)
    return pad(tensor, fill)[:, 1:] if reverse else pad(tensor, fill)[:, :-1]


def _scan(
    decay: Float[Tensor, "batch token channel state"],
    push: Float[Tensor, "batch token channel state"],
    reverse: bool,
) -> Float[Tensor, "batch token channel state"]:
    """Return h_t = decay_t h_{t-1} + push_t for all t, or with t + 1 if ``reverse``."""
    batch, tokens, channels, states = push.shape
    chunks = max(1, isqrt(tokens))
    steps = -(-tokens // chunks)
    # Padding is last in time. In reverse it is first, where the state stays zero.
    fill = (0, 0, 0, 0, 0, chunks * steps - tokens)
    shape = (batch, chunks, steps, channels, states)
    decay, hidden = (pad(part, fill).view(shape) for part in (decay, push))
    decays, pushes = decay.unbind(2), hidden.unbind(2)
    order = list(reversed(range(steps))) if reverse else list(range(steps))

    end = torch.zeros_like(pushes[0])
    for step in order:
        end = torch.addcmul(pushes[step], decays[step], end)

    chunk_decay = decay.prod(2)
    starts = torch.zeros_like(end)
    start = starts[:, 0]
    for chunk in reversed(range(chunks)) if reverse else range(chunks):
        starts[:, chunk] = start
        start = torch.addcmul(end[:, chunk], chunk_decay[:, chunk], start)

    # In place: the inputs become the states.
    state = starts
    for step in order:
        state = pushes[step].addcmul_(decays[step], state)
    return hidden.flatten(1, 2)[:, :tokens]
