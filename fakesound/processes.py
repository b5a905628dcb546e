"""Worker processes that use one thread each and end with the process that started them."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from threading import Thread


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Limit processes started inside the block to one thread for matrix products."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool of worker processes."""
    # spawned: forking is unsafe if the parent has threads
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=end_with_parent)


def end_with_parent() -> None:
    """End this process when its parent ends, even if the parent is killed."""
    # a process of `multiprocessing` has a parent to wait for, any other only its number
    parent, number = parent_process(), os.getppid()

    def watch() -> None:
        if parent is not None:
            parent.join()
        while parent is None and os.getppid() == number:
            time.sleep(0.5)
        os._exit(1)

    Thread(target=watch, daemon=True).start()
