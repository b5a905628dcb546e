"""Infer the grid of the position embeddings of a file, which no file states."""

import math
from collections.abc import Mapping
from typing import Any

from fakesound.errors import InputError
from fakesound.models.vim import VisionMamba
from fakesound.models.weights.layout import Layout
from fakesound.models.weights.read import WeightsFile, refusal

Grid = tuple[int, int]


def source_grid(
    file: WeightsFile, layout: Layout, backbone: VisionMamba, places: int, configured: Grid | None
) -> tuple[str, Grid]:
    """Return the token order and the grid, bands by steps, of positions in ``file``.

    The grid is that of the configuration or of the hyperparameters in the file. Otherwise it
    follows from the number of ``places``, the size of a patch and the published input sizes.

    Raises:
        InputError: if the grid is unknown, or does not match the number of ``places``.
    """
    order = "frequency"
    if layout.native:
        order = setting(file.settings, "backbone", "order") or backbone.order
    if configured is not None:
        if configured[0] * configured[1] != places:
            raise InputError(
                f"init.grid={list(configured)}: {file.path} has {places} position embeddings; "
                "give rows and columns with this product"
            )
        return order, configured
    grid = _of_run(file, backbone, places) if layout.native else _published(file, layout, places)
    if grid is None:
        raise refusal(
            file.path,
            f"the grid of its {places} position embeddings is not known; give it as "
            "init.grid=[rows,columns]",
        )
    return order, grid


def setting(settings: Mapping[str, Any], section: str, key: str) -> Any:  # noqa: ANN401
    """Return a value of a saved configuration; None if it is missing."""
    values = settings.get(section)
    return values.get(key) if isinstance(values, Mapping) else None


def _of_run(file: WeightsFile, backbone: VisionMamba, places: int) -> Grid | None:
    """Return the grid of an earlier run, by default that of ``backbone``."""
    stem = setting(file.settings, "backbone", "stem")
    bins = setting(file.settings, "features", "bins")
    if not isinstance(stem, Mapping) or bins is None:
        bands, steps = backbone.grid
        return (bands, steps) if places == bands * steps else None
    stride = stem.get("stride") or stem.get("patch")
    bands = 1 if stem.get("kind") == "conv" or not stride else bins // stride[0]
    return None if places % bands else (bands, places // bands)


def _published(file: WeightsFile, layout: Layout, places: int) -> Grid | None:
    """Return the grid of published weights.

    Images are square. AuM has 128 mel bands and any length, the original project 280 bands and
    1000 windows; patches of both do not overlap. The original project also saves its sizes with
    the weights.
    """
    grid: Grid | None = _recorded(file.settings)
    patches = file.tensors.get(f"{layout.prefix}patch_embed.proj.weight")
    if grid is None and patches is not None and patches.ndim == 4:
        _, channels, height, width = patches.shape
        if layout.class_first:
            rows = max(1, 128 // height)
            grid = (rows, places // rows)
        elif channels == 3:
            grid = (math.isqrt(places), math.isqrt(places))
        else:
            grid = (280 // height, 1000 // width)
    return grid if grid is not None and grid[0] * grid[1] == places else None


def _recorded(settings: Mapping[str, Any]) -> Grid | None:
    """Return the grid in the hyperparameters of the original project; None without them."""
    try:
        sizes = [settings[key] for key in ("img_size", "patch_size", "stride")]
        rows, columns = (
            (int(size) - int(patch)) // int(stride) + 1
            for size, patch, stride in zip(*sizes, strict=True)
        )
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return rows, columns
