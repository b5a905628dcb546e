"""Frames, regions and segments of many clips on one time axis of whole microseconds.

Clips lie end to end, which makes operations on frames, regions, segments and events integer
arithmetic on sorted arrays: exact for any frame step, and fast for millions of frames.
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
    """Spans ``[onset, offset)`` on the common axis, sorted by time and disjoint.

    Attributes:
        clip: index of the clip of each span.
        onset: start of each span in microseconds.
        offset: end of each span in microseconds.
    """

    clip: Int[np.ndarray, " span"]
    onset: Int[np.ndarray, " span"]
    offset: Int[np.ndarray, " span"]


@dataclass(frozen=True, eq=False)
class FrameTable:
    """Frame scores and fake regions of many clips, in microseconds on one common axis.

    Each clip ends at its duration: its last frame is cut there, surplus frame scores are dropped,
    and a missing one is filled with the last score.

    Attributes:
        clip_edge: starts of the clips, and the end of the last one.
        frame_clip: index of the clip of each frame.
        frame_edge: starts of the frames, and the end of the last one.
        frame_score: P(fake) of each frame.
        regions: true fake regions; touching ones are merged.
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
        """Fake microseconds of each frame."""
        return np.diff(self.fake_time_before(self.frame_edge))

    @cached_property
    def frame_fake(self) -> Bool[np.ndarray, " frame"]:
        """Whether a region overlaps each frame."""
        return overlapping(self.frame_edge, self.regions)

    def fake_time_before(
        self, instants: Int[np.ndarray, " instant"]
    ) -> Int[np.ndarray, " instant"]:
        """Return the fake microseconds before each instant."""
        lengths = self.regions.offset - self.regions.onset
        before = np.concatenate(([0], np.cumsum(lengths)))
        begun = np.searchsorted(self.regions.onset, instants, side="right")
        onset = np.concatenate(([0], self.regions.onset))[begun]
        length = np.concatenate(([0], lengths))[begun]
        time: Int[np.ndarray, " instant"]
        time = before[begun] - length + np.minimum(instants - onset, length)
        return time

    def called(self, threshold: Float[np.ndarray, " clip"]) -> Bool[np.ndarray, " frame"]:
        """Return which frames have a score above the threshold of their clip."""
        called: Bool[np.ndarray, " frame"] = self.frame_score > threshold[self.frame_clip]
        return called

    def spans(self, called: Bool[np.ndarray, " frame"]) -> Spans:
        """Return the runs of consecutive called frames; a run ends at the end of its clip."""
        new_clip = np.diff(self.frame_clip, prepend=-1) > 0
        before = np.concatenate(([False], called[:-1])) & ~new_clip
        after = np.concatenate((called[1:] & ~new_clip[1:], [False]))
        first, last = np.flatnonzero(called & ~before), np.flatnonzero(called & ~after)
        return Spans(self.frame_clip[first], self.frame_edge[first], self.frame_edge[last + 1])


@dataclass(frozen=True, eq=False)
class Segments:
    """Segments of equal length, starting with each clip.

    Attributes:
        clip: index of the clip of each segment.
        fake: whether a region overlaps the segment.
        score: highest score of the frames that overlap the segment, so that it is called fake
            exactly if one of them is.
    """

    clip: Int[np.ndarray, " segment"]
    fake: Bool[np.ndarray, " segment"]
    score: Float32[np.ndarray, " segment"]


@dataclass(frozen=True, eq=False)
class Bins:
    """Bins of equal length, starting with each clip, that cover all clips.

    Attributes:
        clip: index of the clip of each bin.
        edge: starts of the bins, and the end of the last one, in microseconds.
        first: index of the first frame that overlaps each bin.
        after: index after the last frame that overlaps each bin.
    """

    clip: Int[np.ndarray, " bin"]
    edge: Int[np.ndarray, " bin_edge"]
    first: Int[np.ndarray, " bin"]
    after: Int[np.ndarray, " bin"]


def frame_table(scores: Sequence[ClipScore]) -> FrameTable:
    """Return the frames of ``scores`` in one table, in the order of the clips.

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


def time_bins(table: FrameTable, resolution: int) -> Bins:
    """Return bins of ``resolution`` microseconds; the last one of a clip may be shorter."""
    clip, index = _enumerate(-(-np.diff(table.clip_edge) // resolution))
    edge = np.append(table.clip_edge[:-1][clip] + index * resolution, table.clip_edge[-1])
    frame = np.searchsorted(table.frame_edge, edge, side="right") - 1
    # the frame at the end of a bin overlaps it, unless it starts there
    after = frame[1:] + (table.frame_edge[frame[1:]] < edge[1:])
    return Bins(clip=clip, edge=edge, first=frame[:-1], after=after)


def segments(table: FrameTable, resolution: int) -> Segments:
    """Return segments of ``resolution`` microseconds; the last one of a clip may be shorter.

    A segment is fake, or called fake, if any part of it is: the rule of sed_eval (Mesaros et al.
    2016).
    """
    bins = time_bins(table, resolution)
    # even results of reduceat are those of [first, after); the sentinel allows after = number of
    # frames
    padded = np.append(table.frame_score, np.float32(-1))
    score = np.maximum.reduceat(padded, np.stack((bins.first, bins.after), axis=1).ravel())[::2]
    return Segments(bins.clip, overlapping(bins.edge, table.regions), score)


def overlapping(edge: Int[np.ndarray, " edge"], spans: Spans) -> Bool[np.ndarray, " bin"]:
    """Return which bins between neighbouring edges overlap a span."""
    first = np.searchsorted(edge, spans.onset, side="right") - 1
    return _in_ranges(first, np.searchsorted(edge, spans.offset, side="left"), edge.size - 1)


def starting_in(edge: Int[np.ndarray, " edge"], spans: Spans) -> Bool[np.ndarray, " bin"]:
    """Return which bins between neighbouring edges start inside a span."""
    first, after = (np.searchsorted(edge, time) for time in (spans.onset, spans.offset))
    return _in_ranges(first, after, edge.size - 1)


def _in_ranges(
    first: Int[np.ndarray, " span"], after: Int[np.ndarray, " span"], count: int
) -> Bool[np.ndarray, " bin"]:
    """Return which of ``count`` bins lie in one of the ranges ``[first, after)``."""
    change = np.zeros(count + 1, dtype=np.int64)
    np.add.at(change, first, 1)
    np.subtract.at(change, after, 1)
    covered: Bool[np.ndarray, " bin"] = np.cumsum(change[:-1]) > 0
    return covered


def _enumerate(counts: Int[np.ndarray, " clip"]) -> tuple[np.ndarray, np.ndarray]:
    """Return the clip of each item, and the index of the item in its clip."""
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
