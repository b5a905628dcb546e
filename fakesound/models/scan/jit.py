"""How the CPU kernels are compiled: numba, without the interpreter lock, cached on disk."""

from collections.abc import Callable
from inspect import unwrap
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

# Fused multiply-adds, but no other liberty: NaN must show, and sums keep their order.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": {"contract"}}

_FILES = sorted(
    path
    for pattern in ("cpu_*.py", "jit.py", "lanes.py")
    for path in Path(__file__).parent.glob(pattern)
)

SOURCES = crc32(b"".join(path.read_bytes() for path in _FILES))
"""A digest of every kernel file.

numba's cache looks at the file of the cached function alone and would keep code inlined from the
others when they change. A kernel that takes this as an argument's default has it in its signature,
and with that in its cache key.
"""


def kernel(function: Function) -> Function:
    """Return ``function`` compiled at its first call, or read from numba's cache.

    The cache is in ``NUMBA_CACHE_DIR`` if set, beside the source, or in the user's cache directory;
    where none can be written, every process compiles again.
    """
    # A type checker of the tests may have wrapped it.
    plain = unwrap(function)
    try:
        compiled: Function = njit(cache=True, **_OPTIONS)(plain)
    except RuntimeError:
        compiled = njit(**_OPTIONS)(plain)
    return compiled


def inline(function: Function) -> Function:
    """Return ``function`` for use inside kernels; it becomes a part of each."""
    inlined: Function = njit(forceinline=True, **_OPTIONS)(unwrap(function))
    return inlined
