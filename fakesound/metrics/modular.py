"""The figures as torchmetrics, for training loops that are not this package's own.

Each keeps what it was given until the epoch ends and then calls the function of this package, so
nothing is averaged over batches and several devices give the figure of all clips. After the
convention of torchmetrics an undefined figure is NaN here, and a clip that a distributed sampler
repeats counts twice.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torchmetrics import Metric

from fakesound.metrics.calibration import ece
from fakesound.metrics.cost import act_dcf, cllr, min_dcf
from fakesound.metrics.localisation import event_f1, range_eer, segment_f1
from fakesound.metrics.ranking import auc, eer
from fakesound.metrics.scores import ClipScore
from fakesound.timeline import MICROSECONDS, Region, microseconds
from fakesound.training.accumulate import gathered

Logits = Float[np.ndarray, " clip"]
Fakes = Bool[np.ndarray, " clip"]


class _EpochMetric(Metric):
    """A figure of all that was given in an epoch.

    Args:
        states: what is kept, each as a tensor of the right kind that holds nothing.
        kwargs: torchmetrics' own options.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(self, states: dict[str, Tensor], **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self._nothing = states
        for name in states:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def compute(self) -> Float[Tensor, ""]:
        """Return the figure, NaN where it is undefined."""
        figure = self._figure()
        return torch.tensor(torch.nan if figure is None else figure, device=self.device)

    def sync(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  # passed on
        """Gather the states of all devices; see :meth:`torchmetrics.Metric.sync`."""
        # a device without a batch would offer floats in one dimension, whatever the others hold
        for name, nothing in self._nothing.items():
            state = getattr(self, name)
            if isinstance(state, list) and not state:
                state.append(nothing.to(self.device))
        super().sync(*args, **kwargs)

    def _figure(self) -> float | None:
        raise NotImplementedError

    def _keep(self, name: str, values: Tensor) -> None:
        getattr(self, name).append(values.to(self._nothing[name].dtype))

    def _kept(self, name: str) -> np.ndarray:
        state = getattr(self, name)
        if isinstance(state, list):
            state = [self._nothing[name].to(self.device), *state]
        return gathered(state)


class _ClipMetric(_EpochMetric):
    """A figure of the clips' logits."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401  # torchmetrics' own options
        super().__init__(
            {"logit": torch.zeros(0), "fake": torch.zeros(0, dtype=torch.long)}, **kwargs
        )

    def update(self, logits: Float[Tensor, " clip"], fake: Bool[Tensor, " clip"]) -> None:
        """Add a batch: the logit of each clip, and whether it is fake."""
        self._keep("logit", logits.detach())
        self._keep("fake", fake)

    def _figure(self) -> float | None:
        return self._of(self._kept("logit").astype(np.float64), self._kept("fake") > 0)

    def _of(self, logits: Logits, fake: Fakes) -> float | None:
        raise NotImplementedError


class ClipAUC(_ClipMetric):
    """:func:`fakesound.metrics.auc` of the clips."""

    higher_is_better = True

    def _of(self, logits: Logits, fake: Fakes) -> float | None:
        return auc(logits, fake)


class ClipEER(_ClipMetric):
    """The rate of :func:`fakesound.metrics.eer` of the clips."""

    higher_is_better = False

    def _of(self, logits: Logits, fake: Fakes) -> float | None:
        found = eer(logits, fake)
        return None if found is None else found.rate


class MinDCF(_ClipMetric):
    """:func:`fakesound.metrics.min_dcf` of the clips."""

    higher_is_better = False

    def _of(self, logits: Logits, fake: Fakes) -> float | None:
        return min_dcf(logits, fake)


class ActDCF(_ClipMetric):
    """:func:`fakesound.metrics.act_dcf` of the clips."""

    higher_is_better = False

    def _of(self, logits: Logits, fake: Fakes) -> float | None:
        return act_dcf(logits, fake)


class Cllr(_ClipMetric):
    """:func:`fakesound.metrics.cllr` of the clips."""

    higher_is_better = False

    def _of(self, logits: Logits, fake: Fakes) -> float | None:
        return cllr(logits, fake)


class ECE(_ClipMetric):
    """:func:`fakesound.metrics.ece` of the clips' P(fake), the sigmoid of their logits."""

    higher_is_better = False

    def _of(self, logits: Logits, fake: Fakes) -> float | None:
        return ece(np.exp(-np.logaddexp(0.0, -logits)), fake)


class _FrameMetric(_EpochMetric):
    """A figure of the frames' scores and the true regions.

    Args:
        frame_step: length of a frame in seconds.
        threshold: a frame is called fake when its score is above it.
        kwargs: torchmetrics' own options.
    """

    def __init__(self, frame_step: float = 0.02, threshold: float = 0.5, **kwargs: Any) -> None:  # noqa: ANN401
        whole = torch.zeros(0, dtype=torch.long)
        counts = dict.fromkeys(("frame_count", "region_count", "duration"), whole)
        super().__init__(
            {"frame_score": torch.zeros(0), "region": whole.reshape(0, 2)} | counts, **kwargs
        )
        self.frame_step, self.threshold = frame_step, threshold

    def update(
        self,
        frame_scores: Float[Tensor, "clip frame"],
        frame_count: Int[Tensor, " clip"],
        regions: Sequence[Sequence[Region]],
        durations: Sequence[float],
    ) -> None:
        """Add a batch.

        Args:
            frame_scores: P(fake) of the frames, padded at the end.
            frame_count: how many of them belong to each clip.
            regions: the fake spans of each clip; none for a genuine one.
            durations: length of each clip in seconds.

        Raises:
            ValueError: if the four are not of the same clips.
        """
        if not len(frame_scores) == len(frame_count) == len(regions) == len(durations):
            raise ValueError("frame_scores, frame_count, regions and durations differ in length")
        place = torch.arange(frame_scores.shape[1], device=frame_scores.device)
        self._keep("frame_score", frame_scores.detach()[place < frame_count[:, None]])
        self._keep("frame_count", frame_count)
        spans = [
            (microseconds(region.onset), microseconds(region.offset))
            for clip in regions
            for region in clip
        ]
        self._keep("region", self._whole(spans).reshape(-1, 2))
        self._keep("region_count", self._whole([len(clip) for clip in regions]))
        self._keep("duration", self._whole([microseconds(duration) for duration in durations]))

    def _whole(self, values: Sequence[object]) -> Int[Tensor, "..."]:
        return torch.tensor(values, dtype=torch.long, device=self.device)

    def _figure(self) -> float | None:
        frames, regions = (
            np.split(self._kept(values), np.cumsum(self._kept(counts)))[:-1]
            for values, counts in (("frame_score", "frame_count"), ("region", "region_count"))
        )
        clips = zip(frames, regions, self._kept("duration"), strict=True)
        return self._of([self._clip(i, *clip) for i, clip in enumerate(clips)])

    def _clip(
        self, index: int, frames: np.ndarray, regions: np.ndarray, duration: int
    ) -> ClipScore:
        fake = len(regions) > 0
        return ClipScore(
            clip_id=str(index),
            score=0.5,
            logit=0.0,
            label="fake" if fake else "genuine",
            attack="any" if fake else None,
            corpus="any",
            domain="any",
            source_id=str(index),
            regions=tuple(Region(*span) for span in (regions / MICROSECONDS).tolist()),
            duration=int(duration) / MICROSECONDS,
            frame_step=self.frame_step,
            frame_scores=frames,
            frame_threshold=self.threshold,
        )

    def _of(self, scores: Sequence[ClipScore]) -> float | None:
        raise NotImplementedError


class SegmentF1(_FrameMetric):
    """:func:`fakesound.metrics.segment_f1` at ``resolution`` microseconds."""

    higher_is_better = True

    def __init__(self, resolution: int, **kwargs: Any) -> None:  # noqa: ANN401  # passed on
        super().__init__(**kwargs)
        self.resolution = resolution

    def _of(self, scores: Sequence[ClipScore]) -> float | None:
        return segment_f1(scores, self.resolution)


class EventF1(_FrameMetric):
    """:func:`fakesound.metrics.event_f1`."""

    higher_is_better = True

    def _of(self, scores: Sequence[ClipScore]) -> float | None:
        return event_f1(scores)


class RangeEER(_FrameMetric):
    """The rate of :func:`fakesound.metrics.range_eer`."""

    higher_is_better = False

    def _of(self, scores: Sequence[ClipScore]) -> float | None:
        found = range_eer(scores)
        return None if found is None else found.rate
