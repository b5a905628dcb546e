"""Metrics of trivial baselines, which any detector must exceed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fakesound.metrics.resampling import BlockWithIntervals, part_blocks
from fakesound.metrics.scores import ClipScore, logit
from fakesound.timeline import FrameGrid, merge_regions, microseconds


@dataclass(frozen=True)
class Prior:
    """Class balance of the training set, which a constant answer can use.

    Attributes:
        clip: share of fake clips.
        frame: share of fake time.
    """

    clip: float
    frame: float

    @classmethod
    def of(cls, scores: Sequence[ClipScore]) -> "Prior":
        """Return the shares among ``scores``, at least one."""
        fake_time = sum(
            microseconds(region.duration)
            for clip in scores
            for region in merge_regions(clip.regions)
        )
        time = sum(microseconds(clip.duration) for clip in scores)
        return cls(sum(clip.fake for clip in scores) / len(scores), min(fake_time / time, 1.0))


def baseline_blocks(
    scores: Sequence[ClipScore], prior: Prior, parts: Mapping[str, Sequence[ClipScore]]
) -> dict[str, dict[str, BlockWithIntervals]]:
    """Return the metrics blocks of three constant systems, for each of ``parts`` of ``scores``.

    ``all_fake`` scores 1 and ``all_genuine`` 0 everywhere. ``prior`` scores every clip and frame
    with the share of fakes in training, the best calibrated constant; at a threshold of 0.5 it
    decides like one of the other two, so it adds the baseline of calibration (``clip/ece``,
    ``clip/cllr``). Ranking metrics of all three are at chance level.

    There are no intervals, but frame metrics in any case: all three systems score frames.
    """
    answers = {"all_fake": Prior(1.0, 1.0), "all_genuine": Prior(0.0, 0.0), "prior": prior}
    # frames are laid out once for all parts
    of_answers = {
        name: part_blocks([_constant_scores(clip, answer) for clip in scores], parts, draws=0)
        for name, answer in answers.items()
    }
    return {part: {name: blocks[part] for name, blocks in of_answers.items()} for part in parts}


def _constant_scores(clip: ClipScore, answer: Prior) -> ClipScore:
    count = FrameGrid.from_seconds(clip.frame_step).count(clip.duration)
    return replace(
        clip,
        score=answer.clip,
        logit=logit(answer.clip),
        frame_scores=np.full(count, answer.frame, dtype=np.float32),
        clip_threshold=0.5,
        frame_threshold=0.5,
    )
