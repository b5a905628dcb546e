"""Fit the tensors of a file to the names, shapes and token order of a detector."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fakesound.models.detector import Detector
from fakesound.models.residual import ResidualBlock
from fakesound.models.vim import VisionMamba
from fakesound.models.weights.convert import (
    Positions,
    arrange_positions,
    parse_positions,
    resize_patches,
    share_channels,
)
from fakesound.models.weights.grid import setting, source_grid
from fakesound.models.weights.layout import Layout, check_fit, recognise
from fakesound.models.weights.read import WeightsFile, refusal
from fakesound.models.weights.report import LoadReport, TensorStatus

PATCHES = "backbone.stem.proj.weight"
POSITIONS = "backbone.pos_embed"


@dataclass(frozen=True)
class InitialWeights:
    """Weights for a detector to start from.

    Attributes:
        tensors: weights by name in the `Detector`.
        report: status of every tensor of the file and of the detector.
    """

    tensors: Mapping[str, Tensor]
    report: LoadReport

    def load_into(self, detector: Detector) -> None:
        """Replace the values of ``detector``, which must have the same configuration."""
        detector.load_state_dict(dict(self.tensors), strict=False)


class _Fitted(NamedTuple):
    """Status of a tensor of the file, with the fitted tensor; None if skipped."""

    how: str
    note: str = ""
    tensor: Tensor | None = None


def fit_weights(
    file: WeightsFile, detector: Detector, grid: tuple[int, int] | None = None
) -> InitialWeights:
    """Return the weights of ``file``, fitted to ``detector``, which is not changed.

    Args:
        file: weights of Vim, AuM, the 2024 project or a run.
        detector: detector with its initial weights.
        grid: rows (bands) and columns (steps) of the position embeddings, if the file does not
            contain them.

    Raises:
        InputError: if the backbones do not match, with the change that is needed.
    """
    if not isinstance(detector.backbone, VisionMamba):
        raise refusal(
            file.path, "only Vision Mamba backbones can start from it; use a backbone=vim_*"
        )
    layout = recognise(file)
    check_fit(file, layout, detector.backbone)
    fitting = _Fitting(file, layout, detector, grid)
    start = detector.state_dict()
    tensors: dict[str, Tensor] = {}
    statuses: dict[str, list[TensorStatus]] = {
        how: [] for how in ("loaded", "resized", "converted", "skipped")
    }
    for name, tensor in file.tensors.items():
        ours = layout.detector_name(name)
        if ours is None:
            fitted = _Fitted("skipped", layout.skip_reason(name))
        else:
            fitted = fitting.fitted(ours, tensor, start)
        if ours is not None and fitted.tensor is not None:
            name, tensors[ours] = ours, fitted.tensor
        statuses[fitted.how].append(TensorStatus(name, fitted.note))
    zeros = _zero_blocks(detector, tensors) if layout.native else {}
    tensors |= zeros
    statuses["converted"] += [TensorStatus(name, "zero in a new residual block") for name in zeros]
    offered = {layout.detector_name(name) for name in file.tensors}
    statuses["skipped"] += [TensorStatus(name, "not weights") for name in file.others]
    loaded = statuses.pop("loaded")
    report = LoadReport(
        file=file.path.name,
        digest=file.digest,
        layout=layout.name,
        loaded=tuple(status.name for status in loaded),
        left=tuple(
            TensorStatus(name, _unloaded_reason(name, layout, name in offered))
            for name in start
            if name not in tensors
        ),
        **{how: tuple(listed) for how, listed in statuses.items()},
    )
    return InitialWeights(tensors, report)


@dataclass(frozen=True)
class _Fitting:
    """Inputs of the fit of each tensor."""

    file: WeightsFile
    layout: Layout
    detector: Detector
    grid: tuple[int, int] | None

    @property
    def backbone(self) -> VisionMamba:
        assert isinstance(self.detector.backbone, VisionMamba)
        return self.detector.backbone

    def fitted(self, name: str, tensor: Tensor, start: Mapping[str, Tensor]) -> _Fitted:
        """Return the fitted tensor that replaces ``start[name]``."""
        if name not in start:
            return _Fitted("skipped", self._absence_reason(name))
        target = start[name]
        if not tensor.isfinite().all():
            raise refusal(
                self.file.path, f"{name} holds values that are not finite; give another file"
            )
        if name.startswith("backbone.stem.") and self._other_stem(start):
            return _Fitted("skipped", "this backbone has another stem")
        if name.startswith("features.") and self._other_features():
            return _Fitted("skipped", "of other features")
        value = tensor.to(target.dtype)
        fitted = _Fitted("loaded", "", value)
        if name == POSITIONS and value.ndim == target.ndim:
            fitted = self._positions(value, target)
        if name == PATCHES and value.ndim == target.ndim == 4:
            fitted = self._patches(value, target)
        if fitted.tensor is not None and fitted.tensor.shape == target.shape:
            return fitted
        shapes = f"{list(tensor.shape)}, here {list(target.shape)}"
        if name.startswith("backbone.layers.") or not self.layout.native:
            raise refusal(self.file.path, f"{name} is {shapes}; give weights of Vim or AuM")
        return _Fitted("skipped", f"its shape is {shapes}")

    def _patches(self, tensor: Tensor, target: Tensor) -> _Fitted:
        notes, how = [], "loaded"
        (channels, *patch), (channels_here, *patch_here) = tensor.shape[1:], target.shape[1:]
        if not self.layout.native or channels != channels_here:
            notes.append(f"{channels} channels averaged for {channels_here}")
            how, tensor = "converted", share_channels(tensor, channels_here)
        if patch != patch_here:
            notes.append(f"patches of {_size_text(patch)} to {_size_text(patch_here)}")
            how, tensor = "resized", resize_patches(tensor, (patch_here[0], patch_here[1]))
        return _Fitted(how, ", ".join(notes), tensor)

    def _positions(self, tensor: Tensor, target: Tensor) -> _Fitted:
        backbone, layout = self.backbone, self.layout
        places = tensor.shape[1] - layout.class_token
        order, grid = source_grid(self.file, layout, backbone, places, self.grid)
        class_at = None
        if layout.class_token:
            class_at = 0 if layout.class_first else places // 2
        positions = parse_positions(tensor, grid, order, class_at)
        has_class_token = backbone.cls_token is not None
        if has_class_token and positions.class_token_position is None:
            middle = target.shape[1] // 2
            positions = Positions(positions.grid, target[:, middle : middle + 1])
        embedding = arrange_positions(positions, backbone.grid, backbone.order, has_class_token)
        notes, how = [f"{backbone.order}-major"], "converted"
        if grid != backbone.grid:
            notes.insert(0, f"{_size_text(grid)} to {_size_text(backbone.grid)}")
            how = "resized"
        elif (
            order == backbone.order
            and has_class_token == layout.class_token
            and not layout.class_first
        ):
            return _Fitted("loaded", "", embedding)
        if has_class_token != layout.class_token:
            notes.append(
                "without the class token's" if layout.class_token else "a new class token's"
            )
        return _Fitted(how, ", ".join(notes), embedding)

    def _other_stem(self, start: Mapping[str, Tensor]) -> bool:
        """Return whether one stem has patches and the other convolutions."""
        names = {
            self.layout.detector_name(name): tensor.ndim
            for name, tensor in self.file.tensors.items()
        }
        return names.get(PATCHES) != start[PATCHES].ndim

    def _other_features(self) -> bool:
        """Return whether the file is known to have other features than the detector."""
        settings = self.file.settings
        rate = setting(settings, "data", "sample_rate")
        hop_ms = setting(settings, "features", "hop_ms")
        if rate is None or hop_ms is None:
            return False
        there = {key: setting(settings, "features", key) for key in ("kind", "window", "bins")}
        there |= {"sample_rate": rate, "hop": rate * hop_ms // 1000}
        return any(getattr(self.detector.features, key) != value for key, value in there.items())

    def _absence_reason(self, name: str) -> str:
        if name == POSITIONS:
            return "backbone.pos_embed=false"
        if name == "backbone.cls_token":
            return "backbone.class_token=false"
        if name.startswith("backbone.stem."):
            return "this backbone has another stem"
        if name.startswith("backbone.layers."):
            return f"beyond backbone.depth={len(self.backbone.layers)}"
        return "no such part here"


def _zero_blocks(detector: Detector, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return zeros for the residual blocks of the stem that the file lacks.

    The deeper stem then starts with the scores of the smaller one (Net2Net, Chen et al., ICLR
    2016).
    """
    if not any(name.startswith("backbone.stem.") for name in tensors):
        return {}
    norms = {m.last_norm for m in detector.modules() if isinstance(m, ResidualBlock)}
    return {
        f"{name}.{key}": torch.zeros_like(value)
        for name, module in detector.named_modules()
        if module in norms
        for key, value in module.named_parameters()
        if f"{name}.{key}" not in tensors
    }


def _unloaded_reason(name: str, layout: Layout, offered: bool) -> str:
    if name.startswith("features."):
        return "of this run's features"
    if name.startswith("backbone.layers."):
        return f"the file has {layout.depth} layers"
    if not (layout.native or name.startswith("backbone.")):
        return "heads of this task"
    return "the file's does not fit" if offered else "not in the file"


def _size_text(size: Any) -> str:  # noqa: ANN401  # two numbers
    return " x ".join(str(side) for side in size)
