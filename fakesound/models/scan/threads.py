"""A thread pool for kernels that run without the interpreter lock.

The threads of numba are not used: its OpenMP layer aborts any process that is forked after the
first parallel call, among them data loading workers.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count

import torch

# More pieces than threads, so that threads on busy cores get fewer.
_PIECES_PER_THREAD = 4


def run(kernel: Callable[..., None], tasks: int, *arguments: object) -> None:
    """Call ``kernel(first, after, *arguments)`` on pieces that cover ``range(tasks)``.

    The number of threads, including the calling one, is that of torch. The result of a task must
    not depend on its piece.
    """
    threads = min(torch.get_num_threads(), tasks)
    if threads <= 1:
        kernel(0, tasks, *arguments)
        return
    pieces = min(tasks, threads * _PIECES_PER_THREAD)
    queue = count()

    def work() -> None:
        while (piece := next(queue)) < pieces:
            kernel(tasks * piece // pieces, tasks * (piece + 1) // pieces, *arguments)

    helpers = [_pool(os.getpid(), threads - 1).submit(work) for _ in range(threads - 1)]
    work()
    for helper in helpers:
        helper.result()


@cache
def _pool(process: int, size: int) -> ThreadPoolExecutor:
    """Return the pool of this ``process``, since a forked child has no threads of its parent."""
    return ThreadPoolExecutor(size, thread_name_prefix=f"scan-{process}")
