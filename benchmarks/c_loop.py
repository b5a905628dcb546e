"""The scan as a plain loop in C, ``scan_loop.c``, compiled where there is a compiler."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from fakesound.errors import InputError
from fakesound.models.scan.reference import ScanInputs, decay_rates
from fakesound.models.scan.threads import run

LANES = 16
SOURCE = Path(__file__).with_name("scan_loop.c")
FLAGS = ("-Ofast", "-march=native", "-fPIC")
# gcc prefers half of an AVX-512 register; other processors and compilers do not know the option
WIDE = "-mprefer-vector-width=512"
LOG2_E = 1.4426950408889634


class _Rows(ctypes.Structure):
    _fields_: ClassVar = [
        ("data", ctypes.c_void_p),
        *((axis, ctypes.c_long) for axis in ("direction", "clip", "token")),
    ]


class _Scan(ctypes.Structure):
    _fields_: ClassVar = [
        *((axis, ctypes.c_long) for axis in ("directions", "clips", "tokens", "channels")),
        ("states", ctypes.c_long),
        *((name, _Rows) for name in ("x", "dt", "B", "C", "z")),
        *((name, ctypes.c_void_p) for name in ("rate", "D", "bias")),
        ("scale", ctypes.c_float),
        ("out", ctypes.c_void_p),
    ]


@cache
def library() -> Callable[..., None]:
    """Return the function of (first task, the one after the last, pointer to the scan).

    Raises:
        InputError: if there is no compiler, or it fails.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise InputError("needs a C compiler called cc")
    with tempfile.TemporaryDirectory() as folder:
        compiled, target = f"{folder}/scan_loop.o", f"{folder}/scan_loop.so"
        problem = _run(compiler, *FLAGS, WIDE, "-c", str(SOURCE), "-o", compiled)
        problem = problem and _run(compiler, *FLAGS, "-c", str(SOURCE), "-o", compiled)
        # linked without -Ofast, with which some versions of gcc turn off subnormal numbers in every
        # program that loads the library
        problem = problem or _run(compiler, "-shared", compiled, "-o", target, "-lm")
        if problem is not None:
            raise InputError(f"cc fails: {problem}")
        # a library stays loaded when its file is removed
        function = ctypes.CDLL(target).scan_forward
    function.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.POINTER(_Scan)]
    function.restype = None
    return function


def scan(inputs: ScanInputs) -> Float[Tensor, "batch token channel"]:
    """Return the scan of float32 ``inputs`` with a gate and a multiple of ``LANES`` channels.

    Threads share the work as in the CPU kernel.
    """
    directions, batch, tokens, channels = inputs.x.shape
    states = inputs.B.shape[-1]
    assert inputs.z is not None
    assert channels % LANES == 0
    rate = (-LOG2_E * decay_rates(inputs.A_log, states)).contiguous()
    out = inputs.x.new_empty(batch, tokens, channels)
    skip, bias = inputs.D.contiguous(), inputs.dt_bias.contiguous()
    arguments = _Scan(
        *(directions, batch, tokens, channels, states),
        *(_rows(tensor) for tensor in (inputs.x, inputs.dt, inputs.B, inputs.C, inputs.z)),
        *(tensor.data_ptr() for tensor in (rate, skip, bias)),
        inputs.scale,
        out.data_ptr(),
    )
    run(library(), batch * (channels // LANES), ctypes.byref(arguments))
    return out


def _rows(tensor: Tensor) -> _Rows:
    assert tensor.dtype == torch.float32
    assert tensor.stride(-1) == 1
    direction, clip, token = (0, *tensor.stride()[:-1])[-3:]
    return _Rows(tensor.data_ptr(), direction, clip, token)


def _run(*command: str) -> str | None:
    """Run ``command``; return None, or the first line of its message if it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    return (done.stderr.strip() or "no message").splitlines()[0]
