"""A thread pool for kernels that run without the interpreter lock.

Not numba's: its OpenMP layer aborts any process forked after the first parallel call, and with it
every data loading worker.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count

import torch

# More pieces than threads, so that a thread which loses its core to another program gets fewer.
_PIECES_PER_THREAD = 4


def run(kernel: Callable[..., None], tasks: int, *arguments: object) -> None:
    """Call ``kernel(first, after, *arguments)`` on pieces that cover ``range(tasks)``.

    As many threads work at once as torch may use, the calling one among them. What a task computes
    must not depend on the piece that it falls in.
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
    """Return the pool of this ``process``: a forked child has none of its parent's threads."""
    return ThreadPoolExecutor(size, thread_name_prefix=f"scan-{process}")
