"""Peak memory of a call, above what was in use before it.

On CUDA the allocator of torch keeps the maximum itself. On a CPU the operating system's figures
cannot be trusted for one call among many: the C library keeps freed memory, so that the resident
set of a process shows what some earlier call needed. The profiler of torch reports each allocation
and release of a tensor instead; their running sum has an exact maximum, the same on every system
and every time. Memory that a library takes without torch is not in it: of those measured here none
takes more than a tile of one task.
"""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch.autograd.profiler import profile

# above the highest level, that of a remark about every start and stop
_SILENT = "6"


def peak_bytes(call: Callable[[], object], device: torch.device) -> int | None:
    """Return the most memory that tensors made during ``call`` held at once; None if unknown."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        call()
        torch.cuda.synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    if device.type != "cpu":
        return None
    os.environ.setdefault("KINETO_LOG_LEVEL", _SILENT)
    with profile(use_cpu=True, profile_memory=True, use_kineto=True) as profiler:
        call()
    results = profiler.kineto_results
    if results is None:
        return None
    changes = [
        (event.start_ns(), event.nbytes())
        for event in results.events()
        if event.name() == "[memory]"
    ]
    held = most = 0
    # the sort is stable, so that what happens within one tick of the clock keeps its order
    for _, change in sorted(changes, key=lambda pair: pair[0]):
        held += change
        most = max(most, held)
    return most


def available_bytes(device: torch.device) -> int:
    """Return how much memory there is for the taking; where that is unknown, as good as endless."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        return 2**62
