"""Which backends take part: those that the user names, or all that can run here."""

import copy
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from typing import TypeVar

import torch
from torch import nn

from fakesound.errors import InputError
from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.scan import resolve_kernel
from fakesound.progress import console

Model = TypeVar("Model", bound=nn.Module)


def choose(
    named: Sequence[str] | None,
    default: Iterable[str],
    problem: Callable[[str], str | None],
) -> list[str]:
    """Return the backends to measure.

    Args:
        named: by the user, known names all; None for none.
        default: those to take then, as far as they can run; the others are told.
        problem: says why a backend cannot run; None if it can.

    Raises:
        InputError: if one that the user names cannot run, or none can.
    """
    if named is not None:
        for name in named:
            reason = problem(name)
            if reason is not None:
                raise InputError(f"--backends={name}: {reason}")
        return list(named)
    chosen = []
    for name in default:
        reason = problem(name)
        if reason is None:
            chosen.append(name)
        else:
            console.print(f"left out: {name}: {reason}", highlight=False)
    if not chosen:
        raise InputError("--backends: none of them can run here")
    return chosen


def kernel_problem(name: str, device: torch.device, dtype: torch.dtype) -> str | None:
    """Return why kernel ``name`` cannot run; None if it can."""
    try:
        resolve_kernel(name, device, dtype)
    except InputError as error:
        return str(error).removeprefix(f"kernel={name}: ").split(";")[0]
    return None


def mambapy_problem(available: int, needed: int) -> str | None:
    """Return why mambapy cannot run in ``available`` bytes; None if it can."""
    if find_spec("mambapy") is None:
        return "needs mambapy; pip install mambapy"
    if needed > available:
        return f"would need some {needed / 2**30:.0f} GiB of memory"
    return None


def fastest(backends: Iterable[str], device: torch.device, dtype: torch.dtype) -> str | None:
    """Return our fastest kernel, if it is among ``backends``: what ratios are against."""
    ours = resolve_kernel("auto", device, dtype)
    return ours if ours in backends else None


def with_kernel(model: Model, kernel: str) -> Model:
    """Return a copy of ``model`` that scans with ``kernel``."""
    made = copy.deepcopy(model)
    for module in made.modules():
        if isinstance(module, BidirectionalMamba):
            module.kernel = kernel
    return made
