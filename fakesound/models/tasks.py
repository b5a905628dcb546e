"""Tasks of the detector: the head of each, its outputs and its loss."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fakesound.config import HeadsConfig, LossConfig
from fakesound.data.dataset import PART, WHOLE, Batch
from fakesound.models import heads, losses
from fakesound.models.heads import Outputs


@dataclass(frozen=True)
class HeadSizes:
    """Sizes that a head is built for.

    Attributes:
        config: heads that are on, and their pooling.
        dim: width of a token.
        frames: number of frames in a step of the backbone.
        grid_frames: number of frames in a step of the neck, or of the backbone without a neck.
        families: attack families of the training.
        statistics: whether the backbone returns statistics.
    """

    config: HeadsConfig
    dim: int
    frames: int
    grid_frames: int
    families: tuple[str, ...]
    statistics: bool


class HeadInput(NamedTuple):
    """Inputs of the heads.

    Attributes:
        tokens: tokens of the backbone.
        grid: tokens of the neck, or of the backbone without a neck.
        summary: summary of the window.
        statistics: statistics of the window; None for a backbone without them.
        frame_logits: output of the frame head; None without it.
    """

    tokens: Float[Tensor, "batch step dim"]
    grid: Float[Tensor, "batch step dim"]
    summary: Float[Tensor, "batch dim"]
    statistics: Float[Tensor, "batch dim"] | None
    frame_logits: Float[Tensor, "batch frame"] | None


class Balance(NamedTuple):
    """Class balance of the training crops.

    Attributes:
        frame_prior: share of fake frames.
        positive_weight: weight of fake frames in the frame loss.
        edge_weight: weight of frames at an edge in the boundary loss.
    """

    frame_prior: float
    positive_weight: float
    edge_weight: float


class LossInput(NamedTuple):
    """Inputs of the losses.

    Attributes:
        outputs: outputs of the heads.
        batch: crops.
        pooling: pooling of the clip logit.
        config: settings of the losses.
        balance: class balance of the training crops.
    """

    outputs: Outputs
    batch: Batch
    pooling: str
    config: LossConfig
    balance: Balance


@dataclass(frozen=True)
class Task:
    """A task of the detector; `fakesound.scoring.clip_score` computes scores from its outputs.

    Attributes:
        head: function that returns the head, a module.
        outputs: function that returns the outputs of the head on the frame grid, by name.
        loss: function that returns the loss of a batch.
    """

    head: Callable[[HeadSizes], nn.Module]
    outputs: Callable[[nn.Module, HeadInput], Outputs]
    loss: Callable[[LossInput], Float[Tensor, ""]]


def _frame_head(sizes: HeadSizes) -> nn.Module:
    return heads.FrameHead(sizes.dim, sizes.grid_frames, sizes.config.dropout)


def _frame_loss(inputs: LossInput) -> Float[Tensor, ""]:
    config, batch, logits = inputs.config, inputs.batch, inputs.outputs["frame_logits"]
    own = losses.frame_loss(
        logits,
        batch.frame_target,
        batch.frame_mask,
        config.frame_loss,
        inputs.balance.positive_weight,
        config.focal_gamma,
    )
    return own + config.twin * losses.twin_loss(logits, batch.frame_target, batch.frame_mask)


def _clip_head(sizes: HeadSizes) -> nn.Module:
    size, config = (sizes.dim, sizes.frames, sizes.config.dropout), sizes.config
    if config.pooling == "two_way":
        return heads.TwoWayHead(*size, config.frame, sizes.statistics)
    kinds = {"attention": heads.ClipHead, "summary": heads.SummaryHead}
    return kinds.get(config.pooling, heads.InstanceHead)(*size, config.frame)


def _clip_outputs(head: nn.Module, inputs: HeadInput) -> Outputs:
    if isinstance(head, heads.TwoWayHead):
        values = head.both(inputs.tokens, inputs.summary, inputs.statistics, inputs.frame_logits)
    else:
        values = head(inputs.tokens, inputs.summary, inputs.frame_logits)
    named = zip(("evidence", "attention", "whole_evidence"), values, strict=False)
    return {name: value for name, value in named if value is not None}


def _clip_loss(inputs: LossInput) -> Float[Tensor, ""]:
    outputs, batch, twin = inputs.outputs, inputs.batch, inputs.config.twin
    mask, target = batch.frame_mask, batch.clip_target
    if "whole_evidence" in outputs:
        part, whole = heads.part_logit(outputs, mask), heads.whole_logit(outputs, mask)
        kinds = ((part, batch.kind == PART), (whole, batch.kind == WHOLE))
        return torch.stack(
            [losses.hypothesis_loss(logit, target, counts, twin) for logit, counts in kinds]
        ).mean()
    logit = heads.clip_logit(outputs, mask, inputs.pooling)
    return losses.clip_loss(logit, target) + twin * losses.twin_loss(logit, target)


def _boundary_loss(inputs: LossInput) -> Float[Tensor, ""]:
    logits, mask = inputs.outputs["boundary_logits"], inputs.batch.frame_mask
    edges = losses.edge_target(inputs.batch.frame_target, mask)
    own = losses.frame_loss(logits, edges, mask, positive_weight=inputs.balance.edge_weight)
    return own + inputs.config.twin * losses.twin_loss(logits, edges, mask)


def _attribution_head(sizes: HeadSizes) -> nn.Module:
    size, config = (sizes.dim, sizes.frames, sizes.config.dropout), sizes.config
    return heads.AttributionHead(*size, len(sizes.families), config.frame)


def _attribution_outputs(head: nn.Module, inputs: HeadInput) -> Outputs:
    logits, attention = head(inputs.tokens, inputs.frame_logits)
    return {"family_logits": logits, "family_attention": attention}


def _attribution_loss(inputs: LossInput) -> Float[Tensor, ""]:
    outputs, mask = inputs.outputs, inputs.batch.frame_mask
    logits = heads.pool_families(outputs["family_logits"], outputs["family_attention"], mask)
    return losses.attribution_loss(logits, inputs.batch.family)


# in this order, since the logits of the frame head are an input of the others
TASKS = {
    "frame": Task(_frame_head, lambda head, x: {"frame_logits": head(x.grid)}, _frame_loss),
    "clip": Task(_clip_head, _clip_outputs, _clip_loss),
    "boundary": Task(
        _frame_head, lambda head, x: {"boundary_logits": head(x.grid)}, _boundary_loss
    ),
    "attribution": Task(_attribution_head, _attribution_outputs, _attribution_loss),
}
