"""The arithmetic of taking over weights: patches, channels and positions of another size.

Resizing is by matrices of our own: `torch.nn.functional.interpolate` with ``antialias`` is wrong
where a side becomes 1 (torch 2.13, CPU).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Positions(NamedTuple):
    """Position embeddings, free of the order of tokens.

    Attributes:
        grid: rows and columns of the patches.
        class_place: position of the class token, None without one.
    """

    grid: Float[Tensor, "1 dim band step"]
    class_place: Float[Tensor, "1 1 dim"] | None


def channels_shared(
    weight: Float[Tensor, "dim channel height width"], channels: int
) -> Float[Tensor, "dim {channels} height width"]:
    """Return patch filters for ``channels`` alike: the sum over the channels, shared among them.

    Colours say nothing about the channels of a spectrogram. Input that is the same in all channels
    gets the response it had: of three channels for three each becomes their mean, and a filter for
    one channel is divided by ``channels``.
    """
    shared = weight.sum(1, keepdim=True) / channels
    return shared.repeat(1, channels, 1, 1)


def patch_resized(
    weight: Float[Tensor, "dim channel height width"], size: tuple[int, int]
) -> Float[Tensor, "dim channel new_height new_width"]:
    """Return patch filters of another ``size`` (pseudo-inverse resize).

    Of all filters of that size these answer to patches resized to it most nearly as ``weight``
    does to the patches as they were; exactly so where they grow (Beyer et al., "FlexiViT", CVPR
    2023, section 3.4).
    """
    rows, columns = (
        torch.linalg.pinv(_resizing(old, new, _linear).mT)
        for old, new in zip(weight.shape[2:], size, strict=True)
    )
    # the resizing is separable, hence so is its inverse
    return (rows @ weight.double() @ columns.mT).to(weight.dtype)


def positions_of(
    embedding: Float[Tensor, "1 place dim"],
    grid: tuple[int, int],
    order: str,
    class_at: int | None,
) -> Positions:
    """Return the positions in a sequence of embeddings.

    Args:
        embedding: positions as stored in the file.
        grid: bands and steps.
        order: "frequency"-major, as published, or "time"-major.
        class_at: where the class token's is stored: in the middle (Vim), first (AuM), None without.
    """
    own = None
    if class_at is not None:
        own = embedding[:, class_at : class_at + 1]
        embedding = torch.cat((embedding[:, :class_at], embedding[:, class_at + 1 :]), dim=1)
    laid = embedding.mT.unflatten(2, grid if order == "frequency" else grid[::-1])
    return Positions(laid if order == "frequency" else laid.mT, own)


def arranged(
    positions: Positions, grid: tuple[int, int], order: str, class_token: bool
) -> Float[Tensor, "1 place dim"]:
    """Return the embeddings as `VisionMamba` keeps them, brought to ``grid``, bands by steps."""
    laid = positions.grid
    if laid.shape[2:] != grid:
        bands, steps = (
            _resizing(old, new, _cubic) for old, new in zip(laid.shape[2:], grid, strict=True)
        )
        laid = (bands @ laid.double() @ steps.mT).to(laid.dtype)
    flat = (laid if order == "frequency" else laid.mT).flatten(2).mT
    if not class_token or positions.class_place is None:
        return flat.contiguous()
    middle = flat.shape[1] // 2
    return torch.cat((flat[:, :middle], positions.class_place, flat[:, middle:]), dim=1)


def _resizing(
    old: int, new: int, kernel: Callable[[Tensor], Tensor]
) -> Float[Tensor, "{new} {old}"]:
    """Return the matrix that resizes ``old`` values to ``new``, smoothing where it shrinks them."""
    scale = old / new
    centres = (torch.arange(new, dtype=torch.float64)[:, None] + 0.5) * scale
    weights = kernel((torch.arange(old) + 0.5 - centres).abs() / max(scale, 1.0))
    return weights / weights.sum(1, keepdim=True)


def _linear(distance: Float[Tensor, "new old"]) -> Float[Tensor, "new old"]:
    return (1 - distance).clamp_min(0)


def _cubic(distance: Float[Tensor, "new old"]) -> Float[Tensor, "new old"]:
    """Return Keys' kernel (1981), as libraries for images have it where they smooth."""
    x = distance.clamp_max(2)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    return torch.where(x < 1, near, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2)
