"""The figures as torchmetrics: gathered over an epoch, on one device or many."""

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


class Accumulated(NamedTuple):
    """The clips of an epoch, each once, in order of their index.

    Attributes:
        clip_index: number of each clip in its dataset.
        clip_logit: logit of each clip, None for a model without a clip head.
        frame_logit: logits of each clip's frames, without padding; None for a model without a
            frame head.
    """

    clip_index: Int64[np.ndarray, " clip"]
    clip_logit: Float32[np.ndarray, " clip"] | None
    frame_logit: list[Float32[np.ndarray, " _"]] | None


class ScoreAccumulator(Metric):
    """Keep every clip's logits until the epoch ends; figures are computed from all of them.

    Nothing is averaged over batches, and the clips that a distributed sampler repeats to fill its
    last batch are dropped, so the figures do not depend on batch size or number of devices.
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
            index: number of each clip in its dataset.
            clip_logit: logit of each clip, if the model gives one.
            frame_logits: logits of the frames, if the model gives them, padded at the end.
            frame_count: how many of them belong to each clip; goes with ``frame_logits``.

        Raises:
            ValueError: if only one of the last two is given.
        """
        if (frame_logits is None) != (frame_count is None):
            raise ValueError("frame_logits and frame_count go together")
        self.index.append(index.long())
        if clip_logit is not None:
            self.clip_logit.append(clip_logit.detach().float())
        if frame_logits is not None and frame_count is not None:
            place = torch.arange(frame_logits.shape[1], device=frame_logits.device)
            self.frame_logit.append(frame_logits.detach().float()[place < frame_count[:, None]])
            self.frame_count.append(frame_count.long())

    def compute(self) -> Accumulated:
        """Return the clips of all batches and devices.

        Raises:
            ValueError: if logits were given for some batches only, or counts exceed the frames.
        """
        index, first = np.unique(gathered(self.index), return_index=True)
        clip_logit, frame_logit, frame_count = (
            gathered(state) for state in (self.clip_logit, self.frame_logit, self.frame_count)
        )
        clips = len(gathered(self.index))
        if clip_logit.size not in (0, clips) or frame_count.size not in (0, clips):
            raise ValueError("logits of some batches are missing")
        if frame_logit.size != frame_count.sum():
            raise ValueError("a frame count exceeds the frames given")
        frames = np.split(frame_logit, np.cumsum(frame_count)[:-1])
        return Accumulated(
            clip_index=index,
            clip_logit=clip_logit[first] if clip_logit.size else None,
            frame_logit=[frames[i] for i in first] if frame_count.size else None,
        )

    def sync(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # passed on
        """Gather the states of all devices; see :meth:`torchmetrics.Metric.sync`."""
        # a device without a batch would offer floats where the others hold whole numbers
        for state in (self.index, self.frame_count):
            if isinstance(state, list) and not state:
                state.append(torch.zeros(0, dtype=torch.long, device=self.device))
        super().sync(*args, **kwargs)


class ScoreMetric(ScoreAccumulator):
    """Compute one figure of the metrics block over an epoch.

    Updated like `ScoreAccumulator`, with the logits of each clip and of its frames. After the
    convention of torchmetrics an undefined figure is NaN.

    Args:
        key: name of the figure, one of ``fakesound.metrics.KEYS``.
        clips: manifest rows of the dataset, in its order.
        frame_step: length of a frame in seconds.
        kwargs: options of `torchmetrics.Metric`.

    Raises:
        ValueError: if ``key`` is not a figure of the block.
    """

    def __init__(
        self,
        key: str,
        clips: Sequence[Clip],
        frame_step: float = 0.02,
        **kwargs: Any,  # noqa: ANN401  # torchmetrics' own options
    ) -> None:
        if key not in KEYS[1:]:
            raise ValueError(f"key={key!r}: not a figure; one of {', '.join(KEYS[1:])}")
        super().__init__(**kwargs)
        self.key = key
        self.clips = clips
        self.frame_step = frame_step

    def compute(self) -> Float[Tensor, ""]:  # type: ignore[override]
        """Return the figure of all clips so far, NaN where it is undefined."""
        found = super().compute()
        if found.clip_logit is None:
            raise ValueError("clip_logit: missing; a figure needs the logit of each clip")
        frames: list[np.ndarray] = found.frame_logit or [np.zeros(0)] * len(found.clip_index)
        scores = [
            ClipScore.of(
                self.clips[index],
                float(expit(logit)),
                logit=float(logit),
                frame_step=self.frame_step,
                frame_scores=expit(frame).astype(np.float32),
            )
            for index, logit, frame in zip(
                found.clip_index.tolist(), found.clip_logit, frames, strict=True
            )
        ]
        figure = metrics_block(scores)[self.key]
        return torch.tensor(torch.nan if figure is None else figure, device=self.device)


def gathered(state: list[Tensor] | Tensor) -> np.ndarray:
    """Return a list state, a tensor once devices are synchronised, as one array."""
    tensor = state if isinstance(state, Tensor) else torch.cat(state or [torch.zeros(0)])
    return tensor.cpu().numpy()
