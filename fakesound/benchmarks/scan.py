"""``bench scan``: the selective scan alone, kernel beside kernel."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from fakesound.benchmarks import c_loop
from fakesound.benchmarks.backends import choose
from fakesound.benchmarks.measure import TOLERANCE, Method, Session, difference
from fakesound.benchmarks.memory import available_bytes
from fakesound.benchmarks.records import DIRECTIONS, Record
from fakesound.benchmarks.scan_backends import (
    C_LOOP,
    Scan,
    Size,
    make_inputs,
    scan_of,
    scan_problem,
)
from fakesound.benchmarks.timing import clock, timed
from fakesound.models.scan.reference import ScanInputs
from fakesound.progress import console

# With 8 x 1401 tokens the plain loop did not end in minutes, and the process outgrew 24 GB.
_LOOPED_TOKENS = 8 * 600


def bench_scan(
    sizes: Sequence[Size], method: Method, default: Sequence[str]
) -> tuple[list[Record], dict[str, str]]:
    """Return the records, and what is wrong with backends that were not timed.

    Args:
        sizes: of the scans.
        method: how to measure.
        default: backends to take where the user names none.

    Raises:
        InputError: if a backend that the user names cannot run.
    """
    device, dtype = method.device, method.dtype
    largest = max(sizes, key=lambda size: size.batch * size.tokens)
    available = available_bytes(device)
    if largest.batch * largest.tokens > _LOOPED_TOKENS and method.backends is None:
        console.print("left out: reference: too slow at this size; name it to take it")
        default = [name for name in default if name != "reference"]
    backends = choose(
        method.backends,
        default,
        lambda name: scan_problem(name, largest, available, device, dtype),
    )
    session = Session(method)
    for name in backends:
        _check(name, largest, session)
    right = [name for name in backends if name not in session.wrong]
    records: list[Record] = []
    calls = sum(len(_taking_part(right, direction)) for direction in DIRECTIONS)
    with session.progress(calls * len(sizes) * (method.rounds + 1)):
        for size in sizes:
            inputs = make_inputs(size, device, dtype)
            grad = torch.randn_like(inputs.x[0])
            for direction in DIRECTIONS:
                records += session.measure(
                    "scan",
                    direction,
                    size.letters,
                    {
                        name: call_of(scan_of(name), direction, inputs, grad)
                        for name in _taking_part(right, direction)
                    },
                    {"directions": size.directions, "tied_decay": size.tied_decay},
                )
    return records, session.wrong


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


def _taking_part(backends: Sequence[str], direction: str) -> list[str]:
    return [name for name in backends if direction == "forward" or name != C_LOOP]


def _check(name: str, like: Size, session: Session) -> None:
    """Note backend ``name`` as wrong if it differs from the reference on a small case.

    These are its first calls in the process, and their times are kept.
    """
    device, dtype = session.method.device, session.method.dtype
    inputs = make_inputs(replace(like, batch=2, tokens=37, channels=48), device, dtype)
    grad = torch.randn_like(inputs.x[0])
    for direction in DIRECTIONS:
        if not _taking_part([name], direction):
            continue
        call = call_of(scan_of(name), direction, inputs, grad)
        first = timed(call, clock(device))
        if name == C_LOOP:
            first += c_loop.library().seconds
        session.first[name, direction] = first
        expected = call_of(scan_of("reference"), direction, inputs.wide(), grad.float())()
        off = difference(call(), expected)
        if not off <= TOLERANCE[dtype]:
            session.wrong[name] = (
                f"differs from the reference by {off:.1e} of the largest value, {direction}"
            )
            return
