"""Sums over the parts that tasks leave, in an order that no number of threads changes."""

from math import prod

from torch import Tensor

from fakesound.models.scan.cpu_tile import Floats
from fakesound.models.scan.jit import SOURCES, kernel
from fakesound.models.scan.threads import run

_PIECE = 1024


def add_up(parts: Tensor, dim: int) -> Tensor:
    """Return the sum of the contiguous float32 ``parts`` over ``dim``."""
    groups, count, size = prod(parts.shape[:dim]), parts.shape[dim], prod(parts.shape[dim + 1 :])
    sums = parts.new_empty(parts.shape[:dim] + parts.shape[dim + 1 :])
    tasks = groups * -(-size // _PIECE)
    run(_add_rows, tasks, parts.view(-1).numpy(), count, size, sums.view(-1).numpy())
    return sums


@kernel
def _add_rows(
    first: int,
    after: int,
    parts: Floats,
    count: int,
    size: int,
    sums: Floats,
    sources: int = SOURCES,
) -> None:
    """Add ``count`` consecutive rows of ``size`` numbers, in order, for every group of rows.

    A task is ``_PIECE`` numbers of a group.
    """
    pieces = (size + _PIECE - 1) // _PIECE
    for task in range(first, after):
        group = task // pieces
        start = task % pieces * _PIECE
        length = min(_PIECE, size - start)
        total = sums[group * size + start :][:length]
        total[:] = 0
        for part in range(count):
            addend = parts[(group * count + part) * size + start :][:length]
            for i in range(length):
                total[i] += addend[i]
