"""Time the selective scan alone, with skip and gate, kernel by kernel.

cpu, triton, mamba_ssm and chunked are kernels of this package (mamba_ssm calls that project's).
mambapy is that project's parallel scan. c_loop is a plain loop in C, compiled at the start, forward
only. reference is a Python loop. A backend that differs from the reference on a small case is not
timed.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import silu, softplus

from benchmarks import c_loop
from benchmarks.common import (
    DIRECTIONS,
    KERNELS,
    Method,
    Record,
    Session,
    at_least,
    choose,
    kernel_problem,
    make_parser,
    mambapy_problem,
    method_of,
    numbers,
    progress,
    report,
)
from fakesound.command_line import guarded
from fakesound.errors import InputError
from fakesound.models.scan import bidirectional_scan
from fakesound.models.scan.reference import ScanInputs, decay_rates

Scan = Callable[[ScanInputs], Tensor]

C_LOOP, MAMBAPY = "c_loop", "mambapy"
BACKENDS = (*KERNELS, C_LOOP, MAMBAPY, "reference")
# with 8 x 1401 tokens the Python loop takes minutes and more than 24 GB
LOOPED_TOKENS = 8 * 600


@dataclass(frozen=True)
class Size:
    """Size of a scan, and whether the states of a channel share one decay rate."""

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


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of this script."""
    parser = make_parser(__doc__ or "", 7, BACKENDS)
    parser.add_argument(
        "--tokens",
        type=numbers(),
        default="197,512",
        metavar="L,L",
        help="tokens of a clip (197,512)",
    )
    parser.add_argument(
        "--batch", type=numbers(), default="1,8", metavar="B,B", help="clips in a batch (1,8)"
    )
    parser.add_argument(
        "--channels", type=at_least(1), default=384, help="channels inside a block (384)"
    )
    parser.add_argument("--state", type=at_least(1), default=16, help="states of a channel (16)")
    parser.add_argument(
        "--directions", type=int, choices=(1, 2), default=2, help="scan directions (2)"
    )
    parser.add_argument("--tied-decay", action="store_true", help="one decay rate per channel")
    return parser


def main() -> None:
    """Run from the command line."""
    options = build_parser().parse_args()
    shape = (options.channels, options.state, options.directions, options.tied_decay)
    sizes = [Size(batch, tokens, *shape) for tokens in options.tokens for batch in options.batch]
    session = Session(method_of(options))
    records = bench(sizes, session, options.backends)
    columns = {
        "direction": "direction",
        "backend": "backend",
        **{letter: letter for letter in "BL"},
        "ms": "seconds",
        "best": "seconds_min",
        "x ours": "ratio",
        "MiB": "peak_bytes",
        "first call s": "first_call_seconds",
    }
    report(options, records, columns)
    if session.wrong:
        sys.exit("\n".join(f"not timed: {name} {why}" for name, why in session.wrong.items()))


def bench(sizes: Sequence[Size], session: Session, named: Sequence[str] | None) -> list[Record]:
    """Return the records of all sizes; backends with wrong results are in ``session.wrong``.

    Raises:
        InputError: if a named backend cannot run.
    """
    method = session.method
    largest = max(sizes, key=lambda size: size.batch * size.tokens)
    slow = ["reference"] if largest.batch * largest.tokens > LOOPED_TOKENS else []
    backends = choose(named, BACKENDS, lambda name: problem(name, largest, method), slow)
    right = [name for name in backends if _checked(name, largest, session)]
    records = []
    for size in progress(sizes):
        inputs = make_inputs(size, method.device, method.dtype)
        grad = torch.randn_like(inputs.x[0])
        for direction in DIRECTIONS:
            calls = {
                name: call_of(scan_of(name), direction, inputs, grad)
                for name in right
                if direction == "forward" or name != C_LOOP
            }
            extra = {"directions": size.directions, "tied_decay": size.tied_decay}
            records += session.measure("scan", direction, size.letters, calls, extra)
    return records


def call_of(
    scan: Scan, direction: str, inputs: ScanInputs, grad: Tensor
) -> Callable[[], list[Tensor]]:
    """Return the call to time; with "forward+backward" it returns the gradients of all inputs."""
    if direction == "forward":

        def forward() -> list[Tensor]:
            with torch.no_grad():
                return [scan(inputs)]

        return forward

    leaves = [tensor.detach().requires_grad_() for tensor in inputs.tensors]
    tracked = inputs.replace_tensors(leaves)

    def both() -> list[Tensor]:
        out = scan(tracked)
        return [out.detach(), *torch.autograd.grad(out, leaves, grad)]

    return both


def _checked(name: str, like: Size, session: Session) -> bool:
    """Return whether backend ``name`` agrees with the reference on a small case."""
    method = session.method
    small = replace(like, batch=2, tokens=37, channels=48)
    inputs = make_inputs(small, method.device, method.dtype)
    grad = torch.randn_like(inputs.x[0])
    for direction in DIRECTIONS[: 1 if name == C_LOOP else 2]:
        expected = call_of(scan_of("reference"), direction, inputs.wide(), grad.float())()
        call = call_of(scan_of(name), direction, inputs, grad)
        if not session.agrees(name, direction, call, expected):
            return False
    return True


def make_inputs(size: Size, device: torch.device, dtype: torch.dtype) -> ScanInputs:
    """Return inputs with the distribution and layout of an untrained model.

    Activations are in ``dtype``. B, C and z are views of wider tensors, since one projection of a
    model computes them together.
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
    """Return the scan of backend ``name``."""
    if name == MAMBAPY:
        return mambapy_scan
    if name == C_LOOP:
        return c_loop.scan
    return lambda inputs: bidirectional_scan(*inputs[:8], scale=inputs.scale, kernel=name)


def problem(name: str, largest: Size, method: Method) -> str | None:
    """Return why backend ``name`` cannot run sizes up to ``largest``; None if it can."""
    if name == MAMBAPY:
        return mambapy_problem(method.device, mambapy_bytes(largest))
    if name != C_LOOP:
        return kernel_problem(name, method)
    if method.device.type != "cpu" or method.dtype != torch.float32:
        return "runs on a CPU in float32 only"
    if largest.channels % c_loop.LANES:
        return f"needs a multiple of {c_loop.LANES} channels"
    try:
        c_loop.library()
    except InputError as error:
        return str(error)
    return None


def mambapy_scan(inputs: ScanInputs) -> Float[Tensor, "batch token channel"]:
    """Return mambapy's parallel scan with the operations of its Vim block, in float32."""
    from mambapy.pscan import pscan

    x, dt, A_log, B, C, D, dt_bias, z, scale = inputs.wide()
    total = torch.zeros_like(x[0])
    for direction in range(len(x)):
        parts = [part[direction] for part in (x, dt, B, C)]
        if direction == 1:
            parts = [part.flip(1) for part in parts]
        own_x, own_dt, own_B, own_C = parts
        delta = softplus(own_dt + dt_bias[direction])
        decay = torch.exp(-delta.unsqueeze(-1) * decay_rates(A_log[direction], B.shape[-1]))
        drive = delta.unsqueeze(-1) * own_B.unsqueeze(2) * own_x.unsqueeze(-1)
        y = (pscan(decay, drive) @ own_C.unsqueeze(-1)).squeeze(3) + D[direction] * own_x
        total = total + (y.flip(1) if direction == 1 else y)
    if z is not None:
        total = total * silu(z)
    return (scale * total).to(inputs.x.dtype)


def mambapy_bytes(size: Size) -> int:
    """Estimate the memory of `mambapy_scan`, forward and backward, in bytes.

    It allocates about six arrays of (clip, token, channel, state) for each direction; tokens are
    rounded up to a power of two.
    """
    tokens = 1 << (size.tokens - 1).bit_length()
    array = size.batch * tokens * size.channels * size.states * torch.float32.itemsize
    return 6 * size.directions * array


if __name__ == "__main__":
    guarded(main)
