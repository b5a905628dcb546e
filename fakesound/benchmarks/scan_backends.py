"""The scan as ours and others compute it, and inputs like those in a model."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import silu, softplus

from fakesound.benchmarks import c_loop
from fakesound.benchmarks.backends import kernel_problem, mambapy_problem
from fakesound.errors import InputError
from fakesound.models.scan import bidirectional_scan
from fakesound.models.scan.reference import ScanInputs, decay_rates

Scan = Callable[[ScanInputs], Tensor]

C_LOOP, MAMBAPY = "c_loop", "mambapy"


@dataclass(frozen=True)
class Size:
    """How large a scan is, and whether the states of a channel share one decay rate."""

    batch: int
    tokens: int
    channels: int
    states: int
    directions: int
    tied_decay: bool = False

    @property
    def letters(self) -> dict[str, int]:
        """Return the letters of a record."""
        return {"B": self.batch, "L": self.tokens, "E": self.channels, "N": self.states}


def make_inputs(size: Size, device: torch.device, dtype: torch.dtype) -> ScanInputs:
    """Return inputs distributed and laid out as a new model's: activations in ``dtype``.

    B, C and z are parts of wider tensors, since projections of a model give them together.
    """
    generator = torch.Generator().manual_seed(0)
    lead = (size.directions, size.batch, size.tokens)
    rank = math.ceil(size.channels / 32)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    projected = normal(*lead, rank + 2 * size.states).to(device, dtype)
    _, B, C = projected.split([rank, size.states, size.states], dim=-1)
    _, z = normal(size.batch, size.tokens, 2 * size.channels).to(device, dtype).chunk(2, dim=-1)
    rates = torch.arange(1.0, 2.0 if size.tied_decay else size.states + 1.0).log()
    # step sizes from 0.001 to 0.1, through the inverse of softplus
    steps = torch.rand(size.directions, size.channels, generator=generator)
    steps = torch.exp(math.log(1e-3) + steps * math.log(100.0))
    return ScanInputs(
        x=silu(normal(*lead, size.channels)).to(device, dtype),
        dt=(0.5 * normal(*lead, size.channels)).to(device, dtype),
        A_log=rates.repeat(size.directions, size.channels, 1).to(device),
        B=B,
        C=C,
        D=torch.ones(size.directions, size.channels, device=device),
        dt_bias=torch.log(torch.expm1(steps)).to(device),
        z=z,
        scale=1 / size.directions,
    )


def scan_of(name: str) -> Scan:
    """Return the scan of backend ``name``: a kernel's, or another project's."""
    if name == MAMBAPY:
        return mambapy_scan
    if name == C_LOOP:
        return c_loop.scan
    return lambda inputs: bidirectional_scan(*inputs[:8], scale=inputs.scale, kernel=name)


def scan_problem(
    name: str, largest: Size, available: int, device: torch.device, dtype: torch.dtype
) -> str | None:
    """Return why backend ``name`` cannot run sizes up to ``largest``; None if it can."""
    if name == MAMBAPY:
        return mambapy_problem(available, mambapy_bytes(largest))
    if name != C_LOOP:
        return kernel_problem(name, device, dtype)
    if device.type != "cpu" or dtype != torch.float32:
        return "runs on a CPU in float32 only"
    if largest.channels % c_loop.LANES:
        return f"needs a multiple of {c_loop.LANES} channels"
    try:
        c_loop.library()
    except InputError as error:
        return str(error)
    return None


def mambapy_scan(inputs: ScanInputs) -> Float[Tensor, "batch token channel"]:
    """Return the scan by mambapy's parallel scan, around it what its Vim block does, in float32."""
    from mambapy.pscan import pscan

    x, dt, A_log, B, C, D, dt_bias, z, scale = inputs.wide()
    total = torch.zeros_like(x[0])
    for direction in range(len(x)):
        parts = (x[direction], dt[direction], B[direction], C[direction])
        if direction == 1:
            parts = tuple(part.flip(1) for part in parts)  # type: ignore[assignment]
        own_x, own_dt, own_B, own_C = parts
        delta = softplus(own_dt + dt_bias[direction])
        A = -decay_rates(A_log[direction], B.shape[-1])
        decay = torch.exp(delta.unsqueeze(-1) * A)
        drive = delta.unsqueeze(-1) * own_B.unsqueeze(2) * own_x.unsqueeze(-1)
        hidden = pscan(decay, drive)
        y = (hidden @ own_C.unsqueeze(-1)).squeeze(3) + D[direction] * own_x
        total = total + (y.flip(1) if direction == 1 else y)
    if z is not None:
        total = total * silu(z)
    return (scale * total).to(inputs.x.dtype)


def mambapy_bytes(size: Size) -> int:
    """Return about how much memory `mambapy_scan` takes forward and backward.

    It holds six or so arrays of (clip, token, channel, state) for each direction, tokens rounded up
    to a power of two.
    """
    tokens = 1 << (size.tokens - 1).bit_length()
    array = size.batch * tokens * size.channels * size.states * torch.float32.itemsize
    return 6 * size.directions * array
