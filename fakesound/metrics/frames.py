"""The frames of many clips, end to end on one axis of whole microseconds.

What happens in time - frames, regions, segments, events - is then integer arithmetic on sorted
arrays, exact for any frame step, and as fast for a million frames as numpy allows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from jaxtyping import Bool, Float, Float32, Int

from fakesound.errors import InputError
from fakesound.metrics.scores import ClipScore, has_frames
from fakesound.timeline import FrameGrid, merge_regions, microseconds


@dataclass(frozen=True, eq=False)
class Spans:
    """Spans ``[onset, offset)`` on the common axis, in order of time and without overlap.

    Attributes:
        clip: index of the clip of each span.
        onset: microseconds.
        offset: microseconds.
    """

    clip: Int[np.ndarray, " span"]
    onset: Int[np.ndarray, " span"]
    offset: Int[np.ndarray, " span"]


@dataclass(frozen=True, eq=False)
class FrameTable:
    """Frame scores and fake regions of many clips, in microseconds on one common axis.

    A clip ends at its duration: its last frame is cut there, a frame score too many is dropped,
    and for one too few the last score stands to the end.

    Attributes:
        clip_edge: where each clip starts, and where the last one ends.
        frame_clip: index of the clip of each frame.
        frame_edge: where each frame starts, and where the last one ends.
        frame_score: P(fake) of each frame.
        regions: the true fake regions, merged where they touch.
    """

    clip_edge: Int[np.ndarray, " clip_edge"]
    frame_clip: Int[np.ndarray, " frame"]
    frame_edge: Int[np.ndarray, " frame_edge"]
    frame_score: Float32[np.ndarray, " frame"]
    regions: Spans

    @property
    def clips(self) -> int:
        """Number of clips."""
        return self.clip_edge.size - 1

    @cached_property
    def frame_fake_time(self) -> Int[np.ndarray, " frame"]:
        """Microseconds of each frame that lie in a region."""
        return np.diff(self.fake_time_before(self.frame_edge))

    @cached_property
    def frame_fake(self) -> Bool[np.ndarray, " frame"]:
        """Whether any part of each frame lies in a region."""
        return touched(self.frame_edge, self.regions)

    def fake_time_before(
        self, instants: Int[np.ndarray, " instant"]
    ) -> Int[np.ndarray, " instant"]:
        """Return the fake microseconds before each of ``instants``."""
        lengths = self.regions.offset - self.regions.onset
        before = np.concatenate(([0], np.cumsum(lengths)))
        begun = np.searchsorted(self.regions.onset, instants, side="right")
        onset = np.concatenate(([0], self.regions.onset))[begun]
        length = np.concatenate(([0], lengths))[begun]
        time: Int[np.ndarray, " instant"]
        time = before[begun] - length + np.minimum(instants - onset, length)
        return time

    def called(self, threshold: Float[np.ndarray, " clip"]) -> Bool[np.ndarray, " frame"]:
        """Return which frames score above the threshold of their clip."""
        called: Bool[np.ndarray, " frame"] = self.frame_score > threshold[self.frame_clip]
        return called

    def spans(self, called: Bool[np.ndarray, " frame"]) -> Spans:
        """Return the runs of called frames; a run ends with its clip."""
        new_clip = np.diff(self.frame_clip, prepend=-1) > 0
        before = np.concatenate(([False], called[:-1])) & ~new_clip
        after = np.concatenate((called[1:] & ~new_clip[1:], [False]))
        first, last = np.flatnonzero(called & ~before), np.flatnonzero(called & ~after)
        return Spans(self.frame_clip[first], self.frame_edge[first], self.frame_edge[last + 1])


@dataclass(frozen=True, eq=False)
class Segments:
    """Bins of equal length, counted from the start of each clip.

    Attributes:
        clip: index of the clip of each segment.
        fake: whether any part of it lies in a region.
        score: highest score of the frames that touch it, so that it is called fake exactly when
            one of them is.
    """

    clip: Int[np.ndarray, " segment"]
    fake: Bool[np.ndarray, " segment"]
    score: Float32[np.ndarray, " segment"]


@dataclass(frozen=True, eq=False)
class Division:
    """Bins of equal length, counted from the start of each clip; together they cover all clips.

    Attributes:
        clip: index of the clip of each bin.
        edge: where each bin starts, and where the last one ends, in microseconds.
        first: the first frame that each bin touches.
        after: the frame after the last one that it touches.
    """

    clip: Int[np.ndarray, " bin"]
    edge: Int[np.ndarray, " bin_edge"]
    first: Int[np.ndarray, " bin"]
    after: Int[np.ndarray, " bin"]


def frame_table(scores: Sequence[ClipScore]) -> FrameTable:
    """Return the frames of ``scores`` in one table, clips in their order.

    Raises:
        InputError: if a clip has no frame scores.
    """
    if scores and not has_frames(scores):
        raise InputError("frame_scores: none; this system only scores clips")
    durations = np.array([microseconds(clip.duration) for clip in scores], dtype=np.int64)
    clip_edge = np.concatenate(([0], np.cumsum(durations)))
    grids = [FrameGrid.from_seconds(clip.frame_step) for clip in scores]
    counts = np.array(
        [grid.count(clip.duration) for grid, clip in zip(grids, scores, strict=True)],
        dtype=np.int64,
    )
    steps = np.array([grid.step_us for grid in grids], dtype=np.int64)
    frame_clip, index = _enumerate(counts)
    starts = clip_edge[:-1][frame_clip] + index * steps[frame_clip]
    fitted = [_fit(clip.frame_scores, int(n)) for clip, n in zip(scores, counts, strict=True)]
    return FrameTable(
        clip_edge=clip_edge,
        frame_clip=frame_clip,
        frame_edge=np.append(starts, clip_edge[-1]),
        frame_score=np.concatenate([np.zeros(0, dtype=np.float32), *fitted]),
        regions=_regions(scores, clip_edge),
    )


def divided(table: FrameTable, resolution: int) -> Division:
    """Return the bins of ``resolution`` microseconds; the last one of a clip may be shorter."""
    clip, index = _enumerate(-(-np.diff(table.clip_edge) // resolution))
    edge = np.append(table.clip_edge[:-1][clip] + index * resolution, table.clip_edge[-1])
    frame = np.searchsorted(table.frame_edge, edge, side="right") - 1
    # the frame at a bin's end belongs to it too, unless it only starts there
    after = frame[1:] + (table.frame_edge[frame[1:]] < edge[1:])
    return Division(clip=clip, edge=edge, first=frame[:-1], after=after)


def segments(table: FrameTable, resolution: int) -> Segments:
    """Return the segments of ``resolution`` microseconds; the last one of a clip may be shorter.

    A segment is fake, or called fake, when any part of it is: the rule of sed_eval (Mesaros et al.
    2016).
    """
    bins = divided(table, resolution)
    # reduceat takes [first, after) at even places; a sentinel lets the last range reach the end
    padded = np.append(table.frame_score, np.float32(-1))
    score = np.maximum.reduceat(padded, np.stack((bins.first, bins.after), axis=1).ravel())[::2]
    return Segments(bins.clip, touched(bins.edge, table.regions), score)


def touched(edge: Int[np.ndarray, " edge"], spans: Spans) -> Bool[np.ndarray, " bin"]:
    """Return which of the bins between neighbouring edges some span has a part of."""
    first = np.searchsorted(edge, spans.onset, side="right") - 1
    return _painted(first, np.searchsorted(edge, spans.offset, side="left"), edge.size - 1)


def starting_in(edge: Int[np.ndarray, " edge"], spans: Spans) -> Bool[np.ndarray, " bin"]:
    """Return which of the bins between neighbouring edges start inside a span."""
    first, after = (np.searchsorted(edge, at, side="left") for at in (spans.onset, spans.offset))
    return _painted(first, after, edge.size - 1)


def _painted(
    first: Int[np.ndarray, " span"], after: Int[np.ndarray, " span"], count: int
) -> Bool[np.ndarray, " bin"]:
    """Return which of ``count`` bins lie in a range ``[first, after)``."""
    change = np.zeros(count + 1, dtype=np.int64)
    np.add.at(change, first, 1)
    np.subtract.at(change, after, 1)
    painted: Bool[np.ndarray, " bin"] = np.cumsum(change[:-1]) > 0
    return painted


def _enumerate(counts: Int[np.ndarray, " clip"]) -> tuple[np.ndarray, np.ndarray]:
    """Return the clip of each of ``counts`` items, and the item's place in it."""
    clip = np.repeat(np.arange(counts.size), counts)
    return clip, np.arange(clip.size) - (np.cumsum(counts) - counts)[clip]


def _fit(frame_scores: Float32[np.ndarray, " frame"], count: int) -> Float32[np.ndarray, " fitted"]:
    missing = count - frame_scores.size
    if missing > 0:
        return np.pad(frame_scores, (0, missing), mode="edge")
    return frame_scores[:count]


def _regions(scores: Sequence[ClipScore], clip_edge: Int[np.ndarray, " clip_edge"]) -> Spans:
    spans = chain.from_iterable(
        (
            (
                index,
                start + microseconds(region.onset),
                min(start + microseconds(region.offset), end),
            )
            for region in merge_regions(clip.regions)
        )
        for index, (clip, start, end) in enumerate(
            zip(scores, clip_edge[:-1].tolist(), clip_edge[1:].tolist(), strict=True)
        )
    )
    clip, onset, offset = np.array(list(spans), dtype=np.int64).reshape(-1, 3).T
    return Spans(clip, onset, offset)
