"""Metrics for torchmetrics, accumulated over an epoch on one or several devices."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32, Int, Int64
from scipy.special import expit
from torch import Tensor
from torchmetrics import Metric

from fakesound.clip import Clip
from fakesound.metrics.block import KEYS
from fakesound.metrics.resampling import metrics_block
from fakesound.metrics.scores import ClipScore
from fakesound.timeline import GRID


class Accumulated(NamedTuple):
    """Clips of an epoch without duplicates, sorted by index.

    Attributes:
        clip_index: index of each clip in its dataset.
        clip_logit: logit of each clip; None for a model without a clip head.
        frame_logit: frame logits of each clip without padding; None for a model without a frame
            head.
    """

    clip_index: Int64[np.ndarray, " clip"]
    clip_logit: Float32[np.ndarray, " clip"] | None
    frame_logit: list[Float32[np.ndarray, " _"]] | None


class ScoreAccumulator(Metric):
    """Collect the logits of all clips of an epoch.

    Metrics computed from them do not depend on the batch size or the number of devices: nothing is
    averaged over batches, and clips that a distributed sampler repeats are dropped.
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False

    index: list[Tensor]
    clip_logit: list[Tensor]
    frame_logit: list[Tensor]
    frame_count: list[Tensor]

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # torchmetrics' own options
        super().__init__(**kwargs)
        for state in ("index", "clip_logit", "frame_logit", "frame_count"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(
        self,
        index: Int[Tensor, " clip"],
        clip_logit: Float[Tensor, " clip"] | None = None,
        frame_logits: Float[Tensor, "clip frame"] | None = None,
        frame_count: Int[Tensor, " clip"] | None = None,
    ) -> None:
        """Add a batch.

        Args:
            index: index of each clip in its dataset.
            clip_logit: logit of each clip; None for a model without a clip head.
            frame_logits: frame logits, padded at the end; None for a model without a frame head.
            frame_count: number of frames of each clip; needed with ``frame_logits``.

        Raises:
            ValueError: for only one of the last two arguments.
        """
        if (frame_logits is None) != (frame_count is None):
            raise ValueError("frame_logits and frame_count go together")
        self.index.append(index.long())
        if clip_logit is not None:
            self.clip_logit.append(clip_logit.detach().float())
        if frame_logits is not None and frame_count is not None:
            frame = torch.arange(frame_logits.shape[1], device=frame_logits.device)
            self.frame_logit.append(frame_logits.detach().float()[frame < frame_count[:, None]])
            self.frame_count.append(frame_count.long())

    def compute(self) -> Accumulated:
        """Return the clips of all batches and devices.

        Raises:
            ValueError: if only some batches have logits, or a frame count exceeds the frames.
        """
        index, first = np.unique(to_array(self.index), return_index=True)
        clip_logit, frame_logit, frame_count = (
            to_array(state) for state in (self.clip_logit, self.frame_logit, self.frame_count)
        )
        clips = len(to_array(self.index))
        if clip_logit.size not in (0, clips) or frame_count.size not in (0, clips):
            raise ValueError("logits of some batches are missing")
        if frame_logit.size != frame_count.sum():
            raise ValueError("a frame count exceeds the number of frames")
        frames = np.split(frame_logit, np.cumsum(frame_count)[:-1])
        return Accumulated(
            clip_index=index,
            clip_logit=clip_logit[first] if clip_logit.size else None,
            frame_logit=[frames[i] for i in first] if frame_count.size else None,
        )

    def sync(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # passed on
        """Gather the states of all devices; see :meth:`torchmetrics.Metric.sync`."""
        # torchmetrics would gather floats from a device without a batch
        for state in (self.index, self.frame_count):
            if isinstance(state, list) and not state:
                state.append(torch.zeros(0, dtype=torch.long, device=self.device))
        super().sync(*args, **kwargs)


class ScoreMetric(ScoreAccumulator):
    """Compute one metric of the metrics block over an epoch.

    Updated like `ScoreAccumulator`. An undefined metric is NaN, as is usual in torchmetrics.

    Args:
        key: key of the metric, one of ``fakesound.metrics.KEYS`` other than "clips".
        clips: manifest rows of the dataset, in its order.
        kwargs: options of `torchmetrics.Metric`.

    Raises:
        ValueError: for an unknown ``key``.
    """

    def __init__(
        self,
        key: str,
        clips: Sequence[Clip],
        **kwargs: Any,  # noqa: ANN401  # torchmetrics' own options
    ) -> None:
        if key not in KEYS[1:]:
            raise ValueError(f"key={key!r}: unknown; give one of {', '.join(KEYS[1:])}")
        super().__init__(**kwargs)
        self.key = key
        self.clips = clips

    def compute(self) -> Float[Tensor, ""]:  # type: ignore[override]
        """Return the metric of all clips so far, NaN if undefined."""
        clips = super().compute()
        if clips.clip_logit is None:
            raise ValueError("clip_logit: missing; metrics need the logit of each clip")
        frames: list[np.ndarray] = clips.frame_logit or [np.zeros(0)] * len(clips.clip_index)
        scores = [
            ClipScore.of(
                self.clips[index],
                float(expit(logit)),
                logit=float(logit),
                frame_step=GRID.step,
                frame_scores=expit(frame).astype(np.float32),
            )
            for index, logit, frame in zip(
                clips.clip_index.tolist(), clips.clip_logit, frames, strict=True
            )
        ]
        value = metrics_block(scores)[self.key]
        return torch.tensor(torch.nan if value is None else value, device=self.device)


def to_array(state: list[Tensor] | Tensor) -> np.ndarray:
    """Convert a list state, which is a tensor after synchronisation, to an array."""
    tensor = state if isinstance(state, Tensor) else torch.cat(state or [torch.zeros(0)])
    return tensor.cpu().numpy()
