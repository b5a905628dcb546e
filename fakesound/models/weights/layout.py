"""Recognise the origin of a file of weights, and map its names to those of `Detector`.

Published names are those of Vim, with any prefix (``module.`` from data parallelism, ``vim.`` from
the Lightning module of the original project, ``backbone.`` from segmentation toolkits).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from fakesound.models.mamba import BidirectionalMamba
from fakesound.models.vim import VisionMamba
from fakesound.models.weights.read import WeightsFile, refusal

_FIRST = re.compile(r"((?:.*\.)?)layers\.0\.mixer\.in_proj\.weight")
_RENAMED = (
    (re.compile(r"patch_embed\.(proj\..*)"), r"backbone.stem.\1"),
    (re.compile(r"pos_embed\.pos_embed"), "backbone.pos_embed"),
    (re.compile(r"(cls_token|pos_embed|norm_f\..*|layers\..*)"), r"backbone.\1"),
)
_UNUSED = (
    (re.compile(r"head\."), "the head of another task"),
    (re.compile(r"seq_head\."), "a head of another shape"),
    (re.compile(r"(seq_layers|seq_norm_f|res_proj|patch_proj)\b"), "layers of its frame head"),
    (re.compile(r"rope\."), "rotary positions, which this backbone does not have"),
)
_OUTSIDE = "not of the model"
_UNKNOWN = "no counterpart here"
_SIZES = {192: "backbone=vim_tiny", 384: "backbone=vim_small", 768: "backbone=vim_base"}


@dataclass(frozen=True)
class Layout:
    """The conventions of a file.

    Attributes:
        name: origin of the file.
        prefix: prefix of every name of the model.
        native: whether names are those of our `Detector`.
        dim, depth, state, expand, tied_decay, variant: settings of its backbone, see `VisionMamba`.
        class_token: whether it has a class token.
        class_first: whether the class token comes first among the positions, not in the middle.
    """

    name: str
    prefix: str
    native: bool
    dim: int
    depth: int
    state: int
    expand: int
    tied_decay: bool
    variant: str
    class_token: bool
    class_first: bool

    def detector_name(self, name: str) -> str | None:
        """Return the name of a tensor of the file in our `Detector`; None if it is not used."""
        if not name.startswith(self.prefix):
            return None
        name = name.removeprefix(self.prefix)
        if self.native:
            return name
        for pattern, ours in _RENAMED:
            if pattern.fullmatch(name):
                return pattern.sub(ours, name)
        return None

    def skip_reason(self, name: str) -> str:
        """Return the reason why a tensor of the file is not used."""
        if not name.startswith(self.prefix):
            return _OUTSIDE
        name = name.removeprefix(self.prefix)
        return next((why for pattern, why in _UNUSED if pattern.match(name)), _UNKNOWN)


def recognise(file: WeightsFile) -> Layout:
    """Return the layout of ``file``.

    Raises:
        InputError: if it is not of a Vision Mamba, or of an unsupported relative.
    """
    names = file.tensors
    first = next((found for name in names if (found := _FIRST.fullmatch(name))), None)
    if first is None:
        raise refusal(
            file.path,
            "holds no Vision Mamba layers (layers.0.mixer...); give weights of Vim, AuM or a run",
        )
    prefix, inner = first[1], first[1].removesuffix("backbone.")
    native = inner != prefix and any(name.startswith(f"{prefix}stem.") for name in names)
    _refuse_related_models(file, prefix)

    start = f"{prefix}layers.0.mixer."
    mixer = {n.removeprefix(start): tensor for n, tensor in names.items() if n.startswith(start)}
    variant = "v2" if "A_b_log" in mixer and "x_proj_b.weight" in mixer else "v1"
    if "A_b_log" not in mixer:
        variant = "none"
    depth = 1 + max(_layer_numbers(names, prefix))
    aum = f"{prefix}pos_embed.pos_embed" in names
    origin = "a run" if native else "AuM" if aum else "LitViM" if prefix == "vim." else "Vim"
    return Layout(
        name=origin,
        prefix=inner if native else prefix,
        native=native,
        depth=depth,
        variant=variant,
        **_sizes(mixer),
        class_token=f"{prefix}cls_token" in names,
        class_first=aum,
    )


def check_fit(file: WeightsFile, layout: Layout, backbone: VisionMamba) -> None:
    """Check that the layers of ``file`` have the kind and size of those of ``backbone``.

    Raises:
        InputError: if they do not, with the change that is needed.
    """
    mixer = backbone.layers[0].get_submodule("mixer")
    assert isinstance(mixer, BidirectionalMamba)
    for key, own in (_sizes(mixer.state_dict()) | {"variant": mixer.variant}).items():
        other = getattr(layout, key)
        if other != own:
            fix = f"{_SIZES[other]}, or " if key == "dim" and other in _SIZES else ""
            raise refusal(
                file.path,
                f"its backbone has {key} {other}, yours has {own}; "
                f"use {fix}backbone.{key}={str(other).lower()}",
            )
    # every layer must be complete, without tensors that this backbone would ignore
    start = layout.prefix + ("backbone." if layout.native else "")
    expected = {f"{start}layers.{name}" for name in backbone.layers.state_dict()}
    within = re.compile(rf"{re.escape(start)}layers\.(\d+)\.")
    present = {
        name
        for name in file.tensors
        if (layer := within.match(name)) and int(layer[1]) < len(backbone.layers)
    }
    expected = {
        name for name in expected if (layer := within.match(name)) and int(layer[1]) < layout.depth
    }
    for name in sorted(expected - present):
        raise refusal(file.path, f"{name} is missing; download it again, or give another file")
    for name in sorted(present - expected):
        raise refusal(
            file.path, f"{name} has no counterpart in this backbone; give weights of Vim or AuM"
        )


def _refuse_related_models(file: WeightsFile, prefix: str) -> None:
    """Refuse related models whose layers have the same names but compute something else."""
    names = [name.removeprefix(prefix) for name in file.tensors]
    signs = ("cpredlayer", "gpredlayer", "mask_embed")
    if any(sign in name.split(".") for name in file.tensors for sign in signs):
        raise refusal(
            file.path,
            "SSAMBA runs its layers in pairs, with LayerNorm, which this backbone (RMSNorm, one "
            "after the other) cannot; give weights of Vim or AuM",
        )
    if "layers.0.norm.bias" in names or "norm_f.bias" in names:
        raise refusal(
            file.path,
            "its layers are normalised by LayerNorm, those of this backbone by RMSNorm; give "
            "weights of Vim or AuM",
        )
    if "cls_token_head" in names:
        raise refusal(
            file.path,
            "it has class tokens at both ends, this backbone has one in the middle; give weights "
            "with a middle class token",
        )
    for name in ("in_proj.weight", "A_log", "x_proj.weight", "dt_proj.weight"):
        tensor = file.tensors.get(f"{prefix}layers.0.mixer.{name}")
        if tensor is None or tensor.ndim != 2:
            raise refusal(
                file.path,
                f"its layers are not those of Vim or AuM (no matrix {name}); give weights of one "
                "of these",
            )


def _sizes(mixer: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the settings of the backbone that follow from the tensors of a mixer."""
    dim = mixer["in_proj.weight"].shape[1]
    channels, rates = mixer["A_log"].shape
    state = (mixer["x_proj.weight"].shape[0] - mixer["dt_proj.weight"].shape[1]) // 2
    tied = rates < state
    return {"dim": dim, "state": state, "expand": channels // dim, "tied_decay": tied}


def _layer_numbers(names: Iterable[str], prefix: str) -> list[int]:
    pattern = re.compile(rf"{re.escape(prefix)}layers\.(\d+)\.")
    return [int(found[1]) for name in names if (found := pattern.match(name))]
