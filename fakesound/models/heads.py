"""Heads: logits on the frame grid, and clip logits pooled from the frames."""

import math
from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from fakesound.config.tasks import POOLINGS

# what the heads give, by name, on the frame grid
Outputs = Mapping[str, Float[Tensor, "batch frame ..."]]


class Head(nn.Module):
    """Shared parts of the heads: dropout on their input, and how their layers start.

    Args:
        dim: width of a token.
        frames: frames in a step of the token grid.
        dropout: dropout rate of the tokens.
        frame_head: whether there is a frame head, whose logits are an input.
    """

    def __init__(self, dim: int, frames: int, dropout: float, frame_head: bool = True) -> None:
        super().__init__()
        self.dim, self.frames, self.frame_head = dim, frames, frame_head
        self.dropout = nn.Dropout(dropout)

    def learned(self, value: float) -> nn.Parameter | None:
        """Return a factor of the frame logits; None without them.

        A parameter that is not used would stop data-parallel training, which waits for its
        gradient.
        """
        return nn.Parameter(torch.tensor(value)) if self.frame_head else None


def start_small(*layers: nn.Linear, bias: float = 0.0) -> None:
    """Draw small weights, and set the biases to ``bias``."""
    for layer in layers:
        nn.init.trunc_normal_(layer.weight, std=0.02)
        nn.init.constant_(layer.bias, bias)


class FrameHead(Head):
    """One logit for each frame, upsampled from the token grid by a learned linear map."""

    def __init__(self, dim: int, frames: int, dropout: float) -> None:
        super().__init__(dim, frames, dropout)
        self.proj = nn.Linear(dim, frames)
        # fakes are rare: start below even odds
        start_small(self.proj, bias=-1.0)

    def forward(self, tokens: Float[Tensor, "batch step dim"]) -> Float[Tensor, "batch frame"]:
        """Return frame logits."""
        logits: Tensor = self.proj(self.dropout(tokens)).flatten(1)
        return logits


class ClipHead(Head):
    """Evidence and weight of each frame; the clip logit is the weighted mean of the evidence.

    Attention pooling for multiple-instance learning (Ilse, Tomczak and Welling, ICML 2018). With a
    frame head its logits are part of both, so that clip and frames agree: a clip is fake because
    some of its frames are. Being a weighted mean over frames, the clip logit of a long clip follows
    exactly from windows scored apart.
    """

    def __init__(self, dim: int, frames: int, dropout: float, frame_head: bool = True) -> None:
        super().__init__(dim, frames, dropout, frame_head)
        self.tokens = nn.Linear(dim, 2)
        self.summary = nn.Linear(dim, 1)
        self.sharpness = self.learned(1.0)
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
    """Two hypotheses of a clip: a part of it is fake, or all of it is.

    The first is a `ClipHead`'s, whose attention looks for the part. The second is the plain mean of
    evidence over all frames: of their tokens and logits, and of the summary and the statistics of
    the window. Both follow exactly from windows scored apart.

    Args:
        dim, frames, dropout, frame_head: as of `Head`.
        statistics: whether statistics of the window are an input.

    Attributes:
        maps: slope and intercept of either hypothesis, by which its logit is the log likelihood
            ratio of such fakes to genuine clips; fitted in validation, the identity before.
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
        self.weight = self.learned(0.5)
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
        """Return evidence and attention logit of each frame, and its evidence that all is fake."""
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
    """The logit of each frame, of which a pooling without parameters makes the clip's.

    With a frame head it is that head's, so that the clip is what its frames are and nothing else.
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
    """The clip logit from the summary alone, as in Vim and in the 2024 project.

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
        """Return the evidence of each frame, the same for all, and no attention."""
        evidence: Tensor = self.proj(self.dropout(summary))
        return evidence.expand(-1, tokens.shape[1] * self.frames), None


class AttributionHead(Head):
    """Logits of the families of attacks for each frame, if it is fake, and the frame's weight.

    The families' logits of a clip are the mean over frames, weighed as in `ClipHead`. Where to look
    follows from the frame head; no gradient goes back into it, since a family is learned of fakes
    alone.

    Args:
        dim, frames, dropout, frame_head: as of `Head`.
        families: number of families.
    """

    def __init__(
        self, dim: int, frames: int, dropout: float, families: int, frame_head: bool = True
    ) -> None:
        super().__init__(dim, frames, dropout, frame_head)
        self.proj = nn.Linear(dim, families + 1)
        self.sharpness = self.learned(1.0)
        start_small(self.proj)

    def forward(
        self,
        tokens: Float[Tensor, "batch step dim"],
        frame_logits: Float[Tensor, "batch frame"] | None,
    ) -> tuple[Float[Tensor, "batch frame family"], Float[Tensor, "batch frame"]]:
        """Return the families' logits and the attention logit of each frame."""
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

    "attention": the mean of the evidence, weighed by the softmax of ``attention``. The others take
    the evidence for logits of P(fake) of the frames: "max" is the highest of them, "mean" the logit
    of their mean probability, and "linear_softmax" that of the mean weighed by the probabilities
    themselves (Wang, Li and Metze, ICASSP 2019), between the two. "summary": the plain mean.

    "two_way" is "attention" here, the first of the two hypotheses of a `TwoWayHead`.

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
    # log odds of the weighted mean, whose weights need not sum to one
    return (weight + fake).logsumexp(1) - (weight + genuine).logsumexp(1)


def pool_families(
    logits: Float[Tensor, "batch frame family"],
    attention: Float[Tensor, "batch frame"],
    mask: Bool[Tensor, "batch frame"],
) -> Float[Tensor, "batch family"]:
    """Return the families' logits of clips: the mean over frames in ``mask``, by attention."""
    weight = attention.masked_fill(~mask, -torch.inf).softmax(1)
    return (weight[..., None] * logits.masked_fill(~mask[..., None], 0)).sum(1)


def clip_logit(
    outputs: Outputs, mask: Bool[Tensor, "batch frame"], pooling: str = "attention"
) -> Float[Tensor, " batch"]:
    """Return the logit of P(fake) of each clip whose frames are those in ``mask``."""
    part = pool(outputs["evidence"], outputs.get("attention"), mask, pooling)
    if "whole_evidence" not in outputs:
        return part
    return either(part, whole_logit(outputs, mask))


def part_logit(outputs: Outputs, mask: Bool[Tensor, "batch frame"]) -> Float[Tensor, " batch"]:
    """Return the logit of each clip that a part of it is fake, of two hypotheses."""
    return pool(outputs["evidence"], outputs["attention"], mask)


def whole_logit(outputs: Outputs, mask: Bool[Tensor, "batch frame"]) -> Float[Tensor, " batch"]:
    """Return the logit of each clip that all of it is fake, of two hypotheses."""
    return outputs["whole_evidence"].masked_fill(~mask, 0).sum(1) / mask.sum(1)


def either(
    part: Float[Tensor, " batch"], whole: Float[Tensor, " batch"]
) -> Float[Tensor, " batch"]:
    """Return the log likelihood ratio of fakes, half of either hypothesis, to genuine clips."""
    return torch.logaddexp(part, whole) - math.log(2)
