"""List the kernels, check which run on this machine, and resolve names."""

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
        """Return the scan and, if ``keep``, the tensor that backward needs besides the inputs."""

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
    """Module and requirements of a kernel.

    Attributes:
        module: name of its module in this package.
        device: type of the only device it runs on; None for any.
        package: package that it needs.
        doubles: whether it supports float64.
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

"reference" is not among them: it is plain torch, differentiated by autograd.
"""


@cache
def load_kernel(name: str) -> Kernel | None:
    """Return the kernel called ``name``, or None if it does not work on this machine."""
    try:
        module = import_module(f"fakesound.models.scan.{KERNELS[name].module}")
        # a module that imports may still not work
        getattr(module, "probe", lambda: None)()
    except ImportError:
        return None
    return cast(Kernel, module)


def resolve_kernel(
    name: str, device: torch.device | str, dtype: torch.dtype = torch.float32
) -> str:
    """Return the name of the kernel for tensors of ``dtype`` on ``device``.

    Args:
        name: name of a kernel, which is returned if it can run, or "auto" for the fastest.
        device: device of the tensors.
        dtype: type of the tensors.

    Raises:
        InputError: if there is no such kernel or it cannot run here.
    """
    device = torch.device(device)
    if name == "auto":
        fitting = [key for key, entry in KERNELS.items() if _fits(entry, device, dtype)]
        fastest = next(key for key in fitting if load_kernel(key) is not None)
        if fastest == "chunked" and fitting[0] != "chunked":
            _warn_missing(fitting[0])
        return fastest
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
            f"kernel={name}: needs {entry.package}, which does not work here; install it, or use "
            "kernel=auto"
        )
    return name


def _interpreted(name: str, device: torch.device) -> bool:
    """Return whether Triton's interpreter, which is for tests, runs GPU code on this CPU."""
    interpreted = os.environ.get("TRITON_INTERPRET") == "1"
    return interpreted and name == "triton" and device.type == "cpu"


def _fits(entry: Entry, device: torch.device, dtype: torch.dtype) -> bool:
    return entry.device in (None, device.type) and (entry.doubles or dtype != torch.float64)


@cache
def _warn_missing(name: str) -> None:
    """Warn once per process that the package of a faster kernel is missing or fails."""
    warnings.warn(
        f"kernel={name} needs {KERNELS[name].package}, which does not work here: "
        "the scan will be many times slower",
        stacklevel=2,
    )
