"""Which kernels there are, which can run here, and which one a name means."""

import os
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from fakesound.errors import InputError
from fakesound.models.scan.reference import ScanInputs


@runtime_checkable
class Kernel(Protocol):
    """Functions of a kernel's module. Autograd does not follow them."""

    def scan_forward(self, inputs: ScanInputs, keep: bool) -> tuple[Tensor, Tensor]:
        """Return the scan and, if ``keep``, what backward needs beside the inputs."""

    def scan_backward(
        self, grad: Tensor, inputs: ScanInputs, checkpoints: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the gradients of ``inputs.tensors``."""

    def checkpoint_shape(self, inputs: ScanInputs) -> tuple[int | torch.SymInt, ...]:
        """Return the shape of the checkpoints that ``scan_forward`` keeps."""

    def conv_forward(self, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return the convolution."""

    def conv_backward(
        self, grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor
    ) -> tuple[Tensor, ...]:
        """Return the gradients of ``x``, ``weight`` and ``bias``."""


@dataclass(frozen=True)
class Entry:
    """Where a kernel is and where it runs.

    Attributes:
        module: name of its module in this package.
        device: type of the only device it runs on; None for any.
        package: what has to be installed for it.
        doubles: whether it computes in float64.
    """

    module: str
    device: str | None = None
    package: str | None = None
    doubles: bool = True


KERNELS = {
    "cpu": Entry("cpu", device="cpu", package="numba", doubles=False),
    "triton": Entry("triton", device="cuda", package="triton", doubles=False),
    "mamba_ssm": Entry("mamba_ssm", device="cuda", package="mamba-ssm", doubles=False),
    "chunked": Entry("chunked"),
}
"""The kernels in the order in which "auto" tries them.

"reference" is none of them: it is plain torch that autograd follows.
"""


@cache
def load_kernel(name: str) -> Kernel | None:
    """Return the kernel called ``name``, or None if it does not work on this machine."""
    try:
        module = import_module(f"fakesound.models.scan.{KERNELS[name].module}")
        # what imports may still not work
        getattr(module, "probe", lambda: None)()
    except ImportError:
        return None
    return cast(Kernel, module)


def resolve_kernel(
    name: str, device: torch.device | str, dtype: torch.dtype = torch.float32
) -> str:
    """Return the kernel that ``name`` means for tensors of ``dtype`` on ``device``.

    Args:
        name: the name of a kernel, returned as it is if it can run, or "auto" for the fastest.
        device: where the tensors are.
        dtype: their dtype.

    Raises:
        InputError: if there is no such kernel or it cannot run here.
    """
    device = torch.device(device)
    if name == "auto":
        fitting = [key for key, entry in KERNELS.items() if _fits(entry, device, dtype)]
        found = next(key for key in fitting if load_kernel(key) is not None)
        if found == "chunked" and fitting[0] != "chunked":
            _warn_missing(fitting[0])
        return found
    if name == "reference":
        return name
    if name not in KERNELS:
        raise InputError(f"kernel={name}: choose one of auto, reference, {', '.join(KERNELS)}")
    entry = KERNELS[name]
    if entry.device not in (None, device.type) and not _interpreted(name, device):
        raise InputError(f"kernel={name}: cannot run on {device.type}; choose auto or chunked")
    if dtype == torch.float64 and not entry.doubles:
        raise InputError(f"kernel={name}: cannot compute in float64; choose auto or chunked")
    if load_kernel(name) is None:
        raise InputError(
            f"kernel={name}: needs {entry.package}, which does not work here; install it, or take "
            "kernel=auto"
        )
    return name


def _interpreted(name: str, device: torch.device) -> bool:
    """Return whether Triton's interpreter, made for tests, runs GPU code on this CPU."""
    asked = os.environ.get("TRITON_INTERPRET") == "1"
    return asked and name == "triton" and device.type == "cpu"


def _fits(entry: Entry, device: torch.device, dtype: torch.dtype) -> bool:
    return entry.device in (None, device.type) and (entry.doubles or dtype != torch.float64)


@cache
def _warn_missing(name: str) -> None:
    """Warn, once in a process, that a faster kernel lacks its package, or fails."""
    warnings.warn(
        f"kernel={name} needs {KERNELS[name].package}, which does not work here: "
        "the scan will be many times slower",
        stacklevel=2,
    )
