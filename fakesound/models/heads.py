"""Heads: frame logits on the frame grid, and a clip logit that follows from the frames."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class FrameHead(nn.Module):
    """One logit for each frame, upsampled from the token grid by a learned linear map.

    Args:
        dim: width of a token.
        frames: frames in a step of the token grid.
        dropout: on the tokens.
    """

    def __init__(self, dim: int, frames: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.proj = nn.Linear(dim, frames)
        nn.init.trunc_normal_(self.proj.weight, std=0.02)
        # fakes are rare: start below even odds
        nn.init.constant_(self.proj.bias, -1.0)

    def forward(self, tokens: Float[Tensor, "batch step dim"]) -> Float[Tensor, "batch frame"]:
        """Return frame logits."""
        logits: Tensor = self.proj(self.dropout(tokens)).flatten(1)
        return logits


class ClipHead(nn.Module):
    """What each frame says of the clip and how much it counts; the clip logit is the weighted mean.

    Attention pooling for multiple-instance learning (Ilse, Tomczak and Welling, ICML 2018). With a
    frame head its logits are part of both, so that clip and frames agree: a clip is fake because
    some of its frames are. Being a weighted mean over frames, the clip logit of a long clip follows
    exactly from windows scored apart.

    Args:
        dim: width of a token.
        frames: frames in a step of the token grid.
        dropout: on the tokens.
        frame_head: whether it is given the logits of a frame head.
    """

    def __init__(self, dim: int, frames: int, dropout: float, frame_head: bool = True) -> None:
        super().__init__()
        self.frames = frames
        self.dropout = nn.Dropout(dropout)
        self.tokens = nn.Linear(dim, 2)
        self.summary = nn.Linear(dim, 1)
        # no parameter without a use: data-parallel training would wait for its gradient
        self.sharpness = nn.Parameter(torch.tensor(1.0)) if frame_head else None
        for layer in (self.tokens, self.summary):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

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


def pool(
    evidence: Float[Tensor, "batch frame"],
    attention: Float[Tensor, "batch frame"],
    mask: Bool[Tensor, "batch frame"],
) -> Float[Tensor, " batch"]:
    """Return the clip logit: evidence averaged with softmax attention over frames in ``mask``."""
    weight = attention.masked_fill(~mask, -torch.inf).softmax(1)
    return (weight * evidence.masked_fill(~mask, 0)).sum(1)
