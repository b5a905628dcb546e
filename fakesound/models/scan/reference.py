"""The selective scan and its convolution step by step, the definition for all other kernels.

Plain torch in the order of the equations, for any dtype and device, differentiable by autograd, and
slow.

Glossary (Gu & Dao 2023, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces",
section 3 and algorithm 2; Zhu et al. 2024, "Vision Mamba", algorithm 1):

    here       papers      meaning
    x          x, x'       output of the convolution, one per direction
    dt         Δ           step size before its bias and softplus, depends on the token
    A_log      log(-A)     decay rate of each state, so that A = -exp(A_log) < 0; a single column
                           stands for the tied rates A_n = -n exp(A_log), n = 1 ... N
    B, C       B, C        input and output matrix of a token
    D          D           skip from x to y
    dt_bias    Parameter^Δ bias of Δ
    z          z           gate
    hidden     h           the states: a vector of N numbers for each channel
    token      L, M        position in the sequence
    channel    E, d_inner  width inside the mixer
    state      N           number of states per channel

Direction 0 runs forward in time, direction 1 backward. Tensors are stored in natural order.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad, silu, softplus


class ScanInputs(NamedTuple):
    """Inputs of a scan. See the glossary above.

    Attributes:
        scale: factor of the result; Vim halves the sum of two directions.
    """

    x: Float[Tensor, "direction batch token channel"]
    dt: Float[Tensor, "direction batch token channel"]
    A_log: Float[Tensor, "direction channel rate"]
    B: Float[Tensor, "direction batch token state"]
    C: Float[Tensor, "direction batch token state"]
    D: Float[Tensor, "direction channel"]
    dt_bias: Float[Tensor, "direction channel"]
    z: Float[Tensor, "batch token channel"] | None
    scale: float

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Every field that is a tensor, in order."""
        return tuple(field for field in self if isinstance(field, Tensor))

    def wide(self) -> "ScanInputs":
        """Return the inputs in the dtype of the computation: float64 or float32."""
        dtype = torch.promote_types(self.x.dtype, torch.float32)
        return self.replace_tensors([tensor.to(dtype) for tensor in self.tensors])

    def replace_tensors(self, tensors: Sequence[Tensor]) -> "ScanInputs":
        """Return the inputs with their tensors replaced by ``tensors``, in order."""
        present = [name for name in self._fields if isinstance(getattr(self, name), Tensor)]
        fields: dict[str, Any] = dict(zip(present, tensors, strict=True))
        return self._replace(**fields)


def decay_rates(A_log: Float[Tensor, "*lead rate"], states: int) -> Float[Tensor, "*lead {states}"]:
    """Return -A of every state: exp(A_log), or its multiples 1 ... N if there is one column."""
    rates = A_log.exp()
    if A_log.shape[-1] == states:
        return rates
    return rates * torch.arange(1, states + 1, dtype=rates.dtype, device=rates.device)


def scan(inputs: ScanInputs) -> Float[Tensor, "batch token channel"]:
    """Return SiLU(z) * scale * sum over directions of (y + D x), in x's dtype."""
    x, dt, A_log, B, C, D, dt_bias, z, scale = inputs.wide()
    total = torch.zeros_like(x[0])
    for direction in range(len(x)):
        y = _scan_direction(
            x[direction],
            softplus(dt[direction] + dt_bias[direction], threshold=20),
            -decay_rates(A_log[direction], B.shape[-1]),
            B[direction],
            C[direction],
            reverse=direction == 1,
        )
        total = total + y + D[direction] * x[direction]
    total = scale * total
    if z is not None:
        total = total * silu(z)
    return total.to(inputs.x.dtype)


def _scan_direction(
    x: Float[Tensor, "batch token channel"],
    dt: Float[Tensor, "batch token channel"],
    A: Float[Tensor, "channel state"],
    B: Float[Tensor, "batch token state"],
    C: Float[Tensor, "batch token state"],
    reverse: bool,
) -> Float[Tensor, "batch token channel"]:
    """Return y_t = C_t · h_t where h_t = exp(dt_t A) h_{t-1} + dt_t B_t x_t (t+1 if reverse)."""
    batch, tokens, channels = x.shape
    drive = dt * x
    hidden = x.new_zeros(batch, channels, A.shape[1])
    y = [x.new_empty(0)] * tokens
    for t in reversed(range(tokens)) if reverse else range(tokens):
        decay = torch.exp(dt[:, t, :, None] * A)
        hidden = decay * hidden + drive[:, t, :, None] * B[:, t, None, :]
        y[t] = (hidden * C[:, t, None, :]).sum(-1)
    return torch.stack(y, dim=1)


def conv(
    x: Float[Tensor, "batch token channel"],
    weight: Float[Tensor, "direction channel width"],
    bias: Float[Tensor, "direction channel"],
) -> Float[Tensor, "direction batch token channel"]:
    """Return SiLU of the depthwise convolution over previous tokens.

    For direction 1, it is over following tokens. The last tap is for the token itself.
    """
    return silu(conv_before_silu(x, weight, bias)).to(x.dtype)


def conv_before_silu(
    x: Float[Tensor, "batch token channel"],
    weight: Float[Tensor, "direction channel width"],
    bias: Float[Tensor, "direction channel"],
) -> Float[Tensor, "direction batch token channel"]:
    """Return the convolutions without SiLU, in the dtype of the computation."""
    dtype = torch.promote_types(x.dtype, torch.float32)
    directions, _, width = weight.shape
    totals = []
    for direction in range(directions):
        total = bias[direction].to(dtype).expand(x.shape)
        for tap, window in enumerate(windows(x.to(dtype), width, direction)):
            total = total + weight[direction, :, tap].to(dtype) * window
        totals.append(total)
    return torch.stack(totals)


def windows(
    x: Float[Tensor, "batch token channel"], width: int, direction: int
) -> list[Float[Tensor, "batch token channel"]]:
    """Return the input of each tap, with zeros beyond the ends; that of the last tap is ``x``."""
    tokens = x.shape[1]
    if direction == 1:
        padded = pad(x, (0, 0, 0, width - 1))
        return [padded[:, start : start + tokens] for start in reversed(range(width))]
    padded = pad(x, (0, 0, width - 1, 0))
    return [padded[:, start : start + tokens] for start in range(width)]
