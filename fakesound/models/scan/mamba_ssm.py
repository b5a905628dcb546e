"""The scan by the CUDA extension of mamba-ssm, if it is installed.

The package can be installed without the extension, and the extension can be built for another
torch, so it is only used after `probe` has verified its results. It has the layout (clip, channel,
token) and only runs forward in time, so tensors are converted before and after. The convolution is
that of causal-conv1d if it works, otherwise plain torch.

Its gradients are sums of atomic additions and differ slightly from run to run; those of ``triton``
do not.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import silu

from fakesound.models.scan import chunked
from fakesound.models.scan.probe import check
from fakesound.models.scan.reference import ScanInputs, decay_rates

try:
    from mamba_ssm.ops import selective_scan_interface
except Exception as error:  # a build for another torch raises many kinds of errors
    raise ImportError(f"mamba-ssm does not import: {error}") from error

extension: Any = getattr(selective_scan_interface, "selective_scan_cuda", None)
if extension is None:
    raise ImportError("mamba-ssm is installed without its CUDA extension selective_scan_cuda")

# Steps between the states that the extension keeps.
_CHUNK = 2048


def probe(device: str = "cuda") -> None:
    """Compare a scan and its gradients with ``chunked``.

    Raises:
        ImportError: if the extension fails or computes something else.
    """
    check("the CUDA extension of mamba-ssm", scan_forward, scan_backward, device)


def scan_forward(inputs: ScanInputs, keep: bool) -> tuple[Tensor, Tensor]:
    """Return the scan and, if ``keep``, the extension's states and the sum before the gate."""
    total, states = None, []
    for direction in range(len(inputs.x)):
        u, dt, A, B, C, D, bias = _arguments(inputs, direction)
        y, state, *_ = extension.fwd(u, dt, A, B, C, D, None, bias, True)
        y = _in_time(y.transpose(1, 2), direction).float()
        total = y if total is None else total + y
        states.append(state)
    assert total is not None
    out = inputs.scale * total * (1 if inputs.z is None else silu(inputs.z.float()))
    parts = [part.float().flatten() for part in (*states, total)] if keep else []
    return out.to(inputs.x.dtype), torch.cat(parts) if keep else total.new_empty(0)


def scan_backward(grad: Tensor, inputs: ScanInputs, checkpoints: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of ``inputs.tensors``."""
    *states, total = _unpack(inputs, checkpoints)
    grad = inputs.scale * grad.float()
    gate_grads = []
    if inputs.z is not None:
        z = inputs.z.float()
        opening = torch.sigmoid(z)
        gate_grads.append(grad * total * opening * (1 + z * (1 - opening)))
        grad = grad * silu(z)
    each = []
    for direction, state in enumerate(states):
        u, dt, A, B, C, D, bias = _arguments(inputs, direction)
        dy = _in_time(grad, direction).transpose(1, 2).to(u.dtype).contiguous()
        du, ddt, dA, dB, dC, dD, dbias, *_ = extension.bwd(
            u, dt, A, B, C, D, None, bias, dy, state, None, None, True, False
        )
        # chain rule through A = -n exp(A_log): the factor is A, summed over tied rates
        dA = dA * A
        if inputs.A_log.shape[-1] == 1:
            dA = dA.sum(-1, keepdim=True)
        over_time = [
            _in_time(part.transpose(1, 2), direction)
            for part in (du, ddt, dB.flatten(1, 2), dC.flatten(1, 2))
        ]
        each.append((*over_time[:2], dA, *over_time[2:], dD, dbias))
    grads = [torch.stack(parts) for parts in zip(*each, strict=True)] + gate_grads
    return tuple(
        result.to(tensor.dtype).contiguous()
        for result, tensor in zip(grads, inputs.tensors, strict=True)
    )


def checkpoint_shape(inputs: ScanInputs) -> tuple[int | torch.SymInt, ...]:
    """Return the length of the flat checkpoints."""
    directions, batch, tokens, channels = inputs.x.shape
    size = 2 * inputs.B.shape[-1] * (-(-tokens // _CHUNK))
    return (batch * channels * (directions * size + tokens),)


def conv_forward(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the convolution."""
    convolve = _causal_conv1d(x.device)
    if convolve is None:
        return chunked.conv_forward(x, weight, bias)
    return _convolve(convolve, x, weight, bias).contiguous()


def conv_backward(grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of x, weight and bias."""
    convolve = _causal_conv1d(x.device)
    if convolve is None:
        return chunked.conv_backward(grad, x, weight, bias)
    leaves = [tensor.detach().requires_grad_() for tensor in (x, weight, bias)]
    with torch.enable_grad():
        out = _convolve(convolve, *leaves)
    return tuple(part.contiguous() for part in torch.autograd.grad(out, leaves, grad))


def _convolve(
    convolve: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor
) -> Float[Tensor, "direction batch token channel"]:
    results = []
    for direction in range(len(weight)):
        result = convolve(
            _in_time(x, direction).transpose(1, 2),
            weight[direction].to(x.dtype).contiguous(),
            bias[direction].to(x.dtype),
            activation="silu",
        )
        results.append(_in_time(result.transpose(1, 2), direction))
    return torch.stack(results)


@cache
def _causal_conv1d(device: torch.device) -> Callable[..., Tensor] | None:
    """Return the function of causal-conv1d if its results on ``device`` are those of torch."""
    x, weight, bias = (
        torch.linspace(-1, 1, count, device=device).view(shape)
        for count, shape in ((40, (1, 5, 8)), (32, (1, 8, 4)), (8, (1, 8)))
    )
    try:
        from causal_conv1d import causal_conv1d_fn

        result = _convolve(causal_conv1d_fn, x, weight, bias)
    except Exception:  # not installed, or built for another torch
        return None
    right = torch.allclose(result, chunked.conv_forward(x, weight, bias), rtol=1e-3, atol=1e-4)
    return causal_conv1d_fn if right else None


def _arguments(inputs: ScanInputs, direction: int) -> tuple[Tensor, ...]:
    """Return u, dt, A, B, C, D and the bias of dt in the layout of the extension."""
    dtype = inputs.x.dtype
    # tokens last; B and C with an axis of groups
    u, dt, B, C = (
        _in_time(tensor[direction], direction).to(dtype).transpose(1, 2).contiguous()
        for tensor in (inputs.x, inputs.dt, inputs.B, inputs.C)
    )
    A = -decay_rates(inputs.A_log[direction].float(), inputs.B.shape[-1])
    D, bias = inputs.D[direction].float(), inputs.dt_bias[direction].float()
    return u, dt, A.contiguous(), B[:, None], C[:, None], D.contiguous(), bias.contiguous()


def _in_time(tensor: Tensor, direction: int) -> Tensor:
    """Return (clip, token, ...) in the order of the scan, or back in time order."""
    return tensor.flip(1) if direction == 1 else tensor


def _unpack(inputs: ScanInputs, checkpoints: Tensor) -> tuple[Tensor, ...]:
    """Return the extension's states of each direction, and the sum before the gate."""
    directions, batch, tokens, channels = inputs.x.shape
    chunks = -(-tokens // _CHUNK)
    shape = (batch, channels, chunks, 2 * inputs.B.shape[-1])
    size = math.prod(shape)
    *states, total = checkpoints.split([size] * directions + [batch * tokens * channels])
    return *(state.view(shape) for state in states), total.view(batch, tokens, channels)
