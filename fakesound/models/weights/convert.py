"""Convert patches, channels and positions of weights to another size.

Resizing uses explicit matrices, since `torch.nn.functional.interpolate` with ``antialias`` is wrong
if a side becomes 1 (torch 2.13, CPU).
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor


class Positions(NamedTuple):
    """Position embeddings, independent of the order of tokens.

    Attributes:
        grid: embeddings of the patches, by row and column.
        class_token_position: embedding of the class token; None without one.
    """

    grid: Float[Tensor, "1 dim band step"]
    class_token_position: Float[Tensor, "1 1 dim"] | None


def share_channels(
    weight: Float[Tensor, "dim channel height width"], channels: int
) -> Float[Tensor, "dim {channels} height width"]:
    """Return patch filters that are equal for all ``channels``: the sum divided by their number.

    Colour channels do not correspond to channels of a spectrogram. The response to input that is
    the same in all channels does not change.
    """
    shared = weight.sum(1, keepdim=True) / channels
    return shared.repeat(1, channels, 1, 1)


def resize_patches(
    weight: Float[Tensor, "dim channel height width"], size: tuple[int, int]
) -> Float[Tensor, "dim channel new_height new_width"]:
    """Return patch filters of another ``size`` (pseudo-inverse resize).

    The response to resized patches is as close as possible to that of ``weight`` to the original
    patches, and equal if patches become larger (Beyer et al., "FlexiViT", CVPR 2023, section 3.4).
    """
    rows, columns = (
        torch.linalg.pinv(_resizing(old, new, _linear).mT)
        for old, new in zip(weight.shape[2:], size, strict=True)
    )
    # the resizing is separable, hence so is its inverse
    return (rows @ weight.double() @ columns.mT).to(weight.dtype)


def parse_positions(
    embedding: Float[Tensor, "1 place dim"], grid: tuple[int, int], order: str, class_at: int | None
) -> Positions:
    """Return the positions in a sequence of embeddings.

    Args:
        embedding: embeddings in the order of the file.
        grid: number of bands and steps.
        order: "frequency"-major, as published, or "time"-major.
        class_at: index of the class token: in the middle (Vim) or first (AuM); None without one.
    """
    own = None
    if class_at is not None:
        own = embedding[:, class_at : class_at + 1]
        embedding = torch.cat((embedding[:, :class_at], embedding[:, class_at + 1 :]), dim=1)
    laid = embedding.mT.unflatten(2, grid if order == "frequency" else grid[::-1])
    return Positions(laid if order == "frequency" else laid.mT, own)


def arrange_positions(
    positions: Positions, grid: tuple[int, int], order: str, class_token: bool
) -> Float[Tensor, "1 place dim"]:
    """Return the embeddings in the order of `VisionMamba`, resized to ``grid``, bands by steps."""
    laid = positions.grid
    if laid.shape[2:] != grid:
        bands, steps = (
            _resizing(old, new, _cubic) for old, new in zip(laid.shape[2:], grid, strict=True)
        )
        laid = (bands @ laid.double() @ steps.mT).to(laid.dtype)
    flat = (laid if order == "frequency" else laid.mT).flatten(2).mT
    if not class_token or positions.class_token_position is None:
        return flat.contiguous()
    middle = flat.shape[1] // 2
    return torch.cat((flat[:, :middle], positions.class_token_position, flat[:, middle:]), dim=1)


def _resizing(
    old: int, new: int, kernel: Callable[[Tensor], Tensor]
) -> Float[Tensor, "{new} {old}"]:
    """Return the matrix that resizes ``old`` values to ``new``, with smoothing if they shrink."""
    scale = old / new
    centres = (torch.arange(new, dtype=torch.float64)[:, None] + 0.5) * scale
    weights = kernel((torch.arange(old) + 0.5 - centres).abs() / max(scale, 1.0))
    return weights / weights.sum(1, keepdim=True)


def _linear(distance: Float[Tensor, "new old"]) -> Float[Tensor, "new old"]:
    return (1 - distance).clamp_min(0)


def _cubic(distance: Float[Tensor, "new old"]) -> Float[Tensor, "new old"]:
    """Return Keys' kernel (1981), which image libraries use with antialiasing."""
    x = distance.clamp_max(2)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    return torch.where(x < 1, near, -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2)
