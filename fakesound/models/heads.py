"""Heads: logits on the frame grid, and their pooling to clip logits."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from fakesound.config.tasks import POOLINGS

# outputs of the heads on the frame grid, by name
Outputs = Mapping[str, Float[Tensor, "batch frame ..."]]


class Head(nn.Module):
    """Base of the heads: dropout on their input, and a factor of the frame logits.

    Args:
        dim: width of a token.
        frames: number of frames in a step of the token grid.
        dropout: dropout rate of the tokens.
        frame_head: whether there is a frame head, whose logits are an input.
    """

    def __init__(self, dim: int, frames: int, dropout: float, frame_head: bool = True) -> None:
        super().__init__()
        self.dim, self.frames, self.frame_head = dim, frames, frame_head
        self.dropout = nn.Dropout(dropout)

    def learned_factor(self, value: float) -> nn.Parameter | None:
        """Return a learned factor of the frame logits; None without them.

        Data-parallel training would wait forever for the gradient of an unused parameter.
        """
        return nn.Parameter(torch.tensor(value)) if self.frame_head else None


def start_small(*layers: nn.Linear, bias: float = 0.0) -> None:
    """Initialise weights with small values and biases with ``bias``."""
    for layer in layers:
        nn.init.trunc_normal_(layer.weight, std=0.02)
        nn.init.constant_(layer.bias, bias)


class FrameHead(Head):
    """One logit for each frame, upsampled from the token grid by a learned linear map."""

    def __init__(self, dim: int, frames: int, dropout: float) -> None:
        super().__init__(dim, frames, dropout)
        self.proj = nn.Linear(dim, frames)
        # starts below even odds, since fake frames are rare
        start_small(self.proj, bias=-1.0)

    def forward(self, tokens: Float[Tensor, "batch step dim"]) -> Float[Tensor, "batch frame"]:
        """Return frame logits."""
        logits: Tensor = self.proj(self.dropout(tokens)).flatten(1)
        return logits


class ClipHead(Head):
    """Evidence and weight of each frame; the clip logit is the weighted mean of the evidence.

    Attention pooling for multiple-instance learning (Ilse, Tomczak and Welling, ICML 2018). The
    logits of a frame head are part of both, so that clip and frames agree: a clip is fake because
    some of its frames are. Since the clip logit is a weighted mean over frames, that of a long clip
    follows exactly from windows that are scored separately.
    """

    def __init__(self, dim: int, frames: int, dropout: float, frame_head: bool = True) -> None:
        super().__init__(dim, frames, dropout, frame_head)
        self.tokens = nn.Linear(dim, 2)
        self.summary = nn.Linear(dim, 1)
        self.sharpness = self.learned_factor(1.0)
        start_small(self.tokens, self.summary)

    def forward(
        self,
        tokens: Float[Tensor, "batch step dim"],
        summary: Float[Tensor, "batch dim"],
        frame_logits: Float[Tensor, "batch frame"] | None,
    ) -> tuple[Float[Tensor, "batch frame"], Float[Tensor, "batch frame"]]:
        """Return the evidence and the attention logit of each frame."""
        own = self.tokens(self.dropout(tokens)).repeat_interleave(self.frames, dim=1)
        evidence = own[..., 0] + self.summary(self.dropout(summary))
        attention = own[..., 1]
        if self.sharpness is None or frame_logits is None:
            return evidence, attention
        return evidence + frame_logits, attention + self.sharpness * frame_logits


class TwoWayHead(ClipHead):
    """Two hypotheses about a clip: a part of it is fake, or all of it is fake.

    The logit of the first is that of a `ClipHead`, whose attention finds the part. The second is
    the mean of evidence over all frames, computed from tokens and frame logits, and from the
    summary and the statistics of the window. Both follow exactly from separate windows.

    Args:
        dim, frames, dropout, frame_head: the same as in `Head`.
        statistics: whether statistics of the window are an input.

    Attributes:
        maps: slope and intercept that make the logit of each hypothesis the log likelihood ratio of
            such fakes to genuine clips; fitted in validation, initially the identity.
    """

    maps: Tensor

    def __init__(
        self,
        dim: int,
        frames: int,
        dropout: float,
        frame_head: bool = True,
        statistics: bool = False,
    ) -> None:
        super().__init__(dim, frames, dropout, frame_head)
        self.whole_tokens = nn.Linear(dim, 1)
        self.whole_summary = nn.Sequential(
            nn.Linear(dim * (1 + statistics), dim), nn.GELU(), nn.Linear(dim, 1)
        )
        self.weight = self.learned_factor(0.5)
        self.register_buffer("maps", torch.tensor([[1.0, 0.0], [1.0, 0.0]]))

    def both(
        self,
        tokens: Float[Tensor, "batch step dim"],
        summary: Float[Tensor, "batch dim"],
        statistics: Float[Tensor, "batch dim"] | None,
        frame_logits: Float[Tensor, "batch frame"] | None,
    ) -> tuple[
        Float[Tensor, "batch frame"], Float[Tensor, "batch frame"], Float[Tensor, "batch frame"]
    ]:
        """Return evidence, attention logit and whole-clip evidence of each frame."""
        evidence, attention = self(tokens, summary, frame_logits)
        window = summary if statistics is None else torch.cat((summary, statistics), dim=1)
        own = self.whole_tokens(self.dropout(tokens)) + self.whole_summary(window)[:, None]
        whole = own[..., 0].repeat_interleave(self.frames, dim=1)
        if self.weight is not None and frame_logits is not None:
            whole = whole + self.weight * frame_logits
        part_map, whole_map = self.maps
        evidence = evidence * part_map[0] + part_map[1]
        return evidence, attention, whole * whole_map[0] + whole_map[1]


class InstanceHead(Head):
    """The logit of each frame, which a pooling without parameters combines to the clip logit.

    With a frame head, it is the logit of that head, so that the clip depends only on its frames.
    """

    def __init__(self, dim: int, frames: int, dropout: float, frame_head: bool = True) -> None:
        super().__init__(dim, frames, dropout, frame_head)
        self.own = None if frame_head else FrameHead(dim, frames, dropout)

    def forward(
        self,
        tokens: Float[Tensor, "batch step dim"],
        summary: Float[Tensor, "batch dim"],
        frame_logits: Float[Tensor, "batch frame"] | None,
    ) -> tuple[Float[Tensor, "batch frame"], None]:
        """Return the evidence of each frame, and no attention."""
        evidence = frame_logits if self.own is None else self.own(tokens)
        assert evidence is not None
        return evidence, None


class SummaryHead(Head):
    """The clip logit from only the summary, as in Vim and in the 2024 project.

    Every frame has the logit of its window, so that a long clip has the mean of its windows. The
    logits of a frame head are not used.
    """

    def __init__(self, dim: int, frames: int, dropout: float, frame_head: bool = True) -> None:
        super().__init__(dim, frames, dropout, frame_head)
        self.proj = nn.Linear(dim, 1)
        start_small(self.proj)

    def forward(
        self,
        tokens: Float[Tensor, "batch step dim"],
        summary: Float[Tensor, "batch dim"],
        frame_logits: Float[Tensor, "batch frame"] | None,
    ) -> tuple[Float[Tensor, "batch frame"], None]:
        """Return the same evidence for each frame, and no attention."""
        evidence: Tensor = self.proj(self.dropout(summary))
        return evidence.expand(-1, tokens.shape[1] * self.frames), None


class AttributionHead(Head):
    """Logits of attack families for each frame, given that it is fake, and its weight.

    The family logits of a clip are the mean over frames, weighted as in `ClipHead`. The frame head
    gives the weights but gets no gradient, since families are only learned from fakes.

    Args:
        dim, frames, dropout, frame_head: the same as in `Head`.
        families: number of families.
    """

    def __init__(
        self, dim: int, frames: int, dropout: float, families: int, frame_head: bool = True
    ) -> None:
        super().__init__(dim, frames, dropout, frame_head)
        self.proj = nn.Linear(dim, families + 1)
        self.sharpness = self.learned_factor(1.0)
        start_small(self.proj)

    def forward(
        self,
        tokens: Float[Tensor, "batch step dim"],
        frame_logits: Float[Tensor, "batch frame"] | None,
    ) -> tuple[Float[Tensor, "batch frame family"], Float[Tensor, "batch frame"]]:
        """Return the family logits and the attention logit of each frame."""
        own = self.proj(self.dropout(tokens)).repeat_interleave(self.frames, dim=1)
        logits, attention = own[..., :-1], own[..., -1]
        if self.sharpness is None or frame_logits is None:
            return logits, attention
        return logits, attention + self.sharpness * frame_logits.detach()


def pool(
    evidence: Float[Tensor, "batch frame"],
    attention: Float[Tensor, "batch frame"] | None,
    mask: Bool[Tensor, "batch frame"],
    pooling: str = "attention",
) -> Float[Tensor, " batch"]:
    """Return the clip logit over the frames in ``mask``.

    "attention" is the mean of the evidence, weighted by the softmax of ``attention``. "two_way" is
    the same, for the first hypothesis of a `TwoWayHead`. "summary" is the unweighted mean. For the
    others, the evidence is the logit of P(fake) of each frame: "max" is the highest logit, "mean"
    the logit of the mean probability, and "linear_softmax", between the two, the logit of the mean
    weighted by the probabilities themselves (Wang, Li and Metze, ICASSP 2019).

    Raises:
        ValueError: for another pooling.
    """
    if pooling not in POOLINGS:
        raise ValueError(f"pooling {pooling!r}: must be one of {', '.join(POOLINGS)}")
    if pooling in ("attention", "two_way"):
        assert attention is not None
        weight = attention.masked_fill(~mask, -torch.inf).softmax(1)
        return (weight * evidence.masked_fill(~mask, 0)).sum(1)
    if pooling == "max":
        return evidence.masked_fill(~mask, -torch.inf).amax(1)
    if pooling == "summary":
        return evidence.masked_fill(~mask, 0).sum(1) / mask.sum(1)
    evidence = evidence.masked_fill(~mask, 0)
    fake, genuine = logsigmoid(evidence), logsigmoid(-evidence)
    weight = fake if pooling == "linear_softmax" else torch.zeros_like(fake)
    weight = weight.masked_fill(~mask, -torch.inf)
    # log odds of the weighted mean; weights need not be normalised
    return (weight + fake).logsumexp(1) - (weight + genuine).logsumexp(1)


def pool_families(
    logits: Float[Tensor, "batch frame family"],
    attention: Float[Tensor, "batch frame"],
    mask: Bool[Tensor, "batch frame"],
) -> Float[Tensor, "batch family"]:
    """Return the family logits of clips: the attention-weighted mean over frames in ``mask``."""
    weight = attention.masked_fill(~mask, -torch.inf).softmax(1)
    return (weight[..., None] * logits.masked_fill(~mask[..., None], 0)).sum(1)


def clip_logit(
    outputs: Outputs, mask: Bool[Tensor, "batch frame"], pooling: str = "attention"
) -> Float[Tensor, " batch"]:
    """Return the logit of P(fake) of each clip, over the frames in ``mask``."""
    part = pool(outputs["evidence"], outputs.get("attention"), mask, pooling)
    if "whole_evidence" not in outputs:
        return part
    return either(part, whole_logit(outputs, mask))


def part_logit(outputs: Outputs, mask: Bool[Tensor, "batch frame"]) -> Float[Tensor, " batch"]:
    """Return the logit of the hypothesis that a part of the clip is fake."""
    return pool(outputs["evidence"], outputs["attention"], mask)


def whole_logit(outputs: Outputs, mask: Bool[Tensor, "batch frame"]) -> Float[Tensor, " batch"]:
    """Return the logit of the hypothesis that all of the clip is fake."""
    return outputs["whole_evidence"].masked_fill(~mask, 0).sum(1) / mask.sum(1)


def either(
    part: Float[Tensor, " batch"], whole: Float[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return the log likelihood ratio of fakes, half of each kind, to genuine clips."""
    return torch.logaddexp(part, whole) - math.log(2)
