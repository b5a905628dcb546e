"""How well the fake parts of a clip are found."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from fakesound.metrics.counts import number, ratio
from fakesound.metrics.frames import FrameTable, Segments, Spans, frame_table, segments
from fakesound.metrics.scores import ClipScore

COLLAR = 250_000  # microseconds
SHARE_OF_LENGTH = 0.5  # of the region, by which an offset may err
ADD_WEIGHT_OF_CLIPS = 0.3


def frame_thresholds(scores: Sequence[ClipScore]) -> Float[np.ndarray, " clip"]:
    """Return the frame threshold of each clip."""
    return np.array([clip.frame_threshold for clip in scores], dtype=np.float64)


def segment_counts(
    found: Segments, threshold: Float[np.ndarray, " clip"]
) -> Int[np.ndarray, "clip 3"]:
    """Return each clip's segments rightly called fake, wrongly called fake, and missed."""
    called = found.score > threshold[found.clip]
    return _count(
        threshold.size,
        found.clip[called & found.fake],
        found.clip[called & ~found.fake],
        found.clip[~called & found.fake],
    )


def event_counts(table: FrameTable, regions: Spans, events: Spans) -> Int[np.ndarray, "clip 3"]:
    """Return each clip's regions found, events that match no region, and regions missed.

    See :func:`event_f1` for when an event, a run of called frames, matches a region.
    """
    region, event = matched_events(regions, events, table.clip_edge)
    return _count(
        table.clips,
        regions.clip[region],
        np.delete(events.clip, event),
        np.delete(regions.clip, region),
    )


def matched_events(
    regions: Spans, events: Spans, clip_edge: Int[np.ndarray, " clip_edge"]
) -> tuple[Int[np.ndarray, " match"], Int[np.ndarray, " match"]]:
    """Return as many pairs of a region and an event that matches it as can be made at once."""
    region, event = _candidates(regions, events, clip_edge)
    if not region.size:
        return region, event
    # slow to import, and a detection matches nothing
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    edges = csr_array(
        (np.ones(region.size, dtype=np.int8), (region, event)),
        shape=(regions.clip.size, events.clip.size),
    )
    partner = maximum_bipartite_matching(edges, perm_type="column").astype(np.int64)
    found = np.flatnonzero(partner >= 0)
    return found, partner[found]


def f1_draws(
    counts: Int[np.ndarray, "clip 3"], weights: Float[np.ndarray, "draw clip"]
) -> Float[np.ndarray, " draw"]:
    """Return ``2 tp / (2 tp + fp + fn)`` over all clips of each draw, NaN in those without fakes.

    Nothing predicted where there are fakes gives 0.
    """
    true, false, missed = (weights @ counts.astype(np.float64)).T
    return ratio(2 * true, np.where(true + missed > 0, 2 * true + false + missed, 0.0))


def segment_f1(scores: Sequence[ClipScore], resolution: int) -> float | None:
    """Return F1 over segments of ``resolution`` microseconds, counted over all clips together.

    A segment is fake when any part of it lies in a region and called fake when it touches a frame
    whose score is above the clip's frame threshold. Micro-averaged segment-based F of sed_eval
    (Mesaros et al. 2016), which FakeSound reports (Xie et al. 2024); genuine clips can only add
    false alarms. None without fakes.

    Raises:
        InputError: if a clip has no frame scores.
    """
    counts = segment_counts(segments(frame_table(scores), resolution), frame_thresholds(scores))
    return number(f1_draws(counts, np.ones((1, len(scores)))))


def event_f1(scores: Sequence[ClipScore]) -> float | None:
    """Return F1 over events: runs of frames called fake, against the true regions.

    An event matches a region when its onset lies within 250 ms of the region's, and its offset
    within 250 ms or half the region's length, whichever is more; each serves in one match, and as
    many matches are made as can be. Event-based F of sed_eval (Mesaros et al. 2016), with one
    difference: a genuine clip in which nothing is found earns nothing. Regions that touch are one.
    None without fakes.

    Raises:
        InputError: if a clip has no frame scores.
    """
    table = frame_table(scores)
    events = table.spans(table.called(frame_thresholds(scores)))
    counts = event_counts(table, table.regions, events)
    return number(f1_draws(counts, np.ones((1, len(scores)))))


def sed_eval_event_draws(
    table: FrameTable, called: Bool[np.ndarray, " frame"]
) -> Float[np.ndarray, "1"]:
    """Return event F1 exactly as sed_eval gives it to FakeSound, to compare with published figures.

    As :func:`event_f1`, but where a clip holds no region, or nothing is found in it, there stands
    an event from 0 to 0 s, as FakeSound's scripts write it (Xie et al. 2024). So a genuine clip in
    which nothing is found counts as a region found, and the share of genuine clips raises the
    figure: do not rank systems by it. NaN for no clips.
    """
    counts = event_counts(
        table, _never_empty(table, table.regions), _never_empty(table, table.spans(called))
    )
    return f1_draws(counts, np.ones((1, table.clips)))


def add_score_draws(
    accuracy: Float[np.ndarray, " draw"], f1: Float[np.ndarray, " draw"]
) -> Float[np.ndarray, " draw"]:
    """Return ``0.3 accuracy + 0.7 F1`` in each draw, NaN where either is undefined.

    Clip accuracy and segment F1 at 20 ms in one figure: the form of ADD 2023 track 2 (Yi et al.
    2023).
    """
    return ADD_WEIGHT_OF_CLIPS * accuracy + (1 - ADD_WEIGHT_OF_CLIPS) * f1


def _never_empty(table: FrameTable, spans: Spans) -> Spans:
    """Return ``spans`` with one of no length at the start of each clip that has none."""
    empty = np.setdiff1d(np.arange(table.clips), spans.clip)
    place = np.searchsorted(spans.clip, empty)
    start = table.clip_edge[empty]
    return Spans(
        np.insert(spans.clip, place, empty),
        np.insert(spans.onset, place, start),
        np.insert(spans.offset, place, start),
    )


def _candidates(
    regions: Spans, events: Spans, clip_edge: Int[np.ndarray, " clip_edge"]
) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs of a region and an event near enough to match."""
    # the collar never reaches into a neighbouring clip
    earliest = np.maximum(regions.onset - COLLAR, clip_edge[:-1][regions.clip])
    latest = np.minimum(regions.onset + COLLAR, clip_edge[1:][regions.clip] - 1)
    first = np.searchsorted(events.onset, earliest, side="left")
    count = np.searchsorted(events.onset, latest, side="right") - first
    region = np.repeat(np.arange(regions.clip.size), count)
    event = np.arange(region.size) + (first - np.cumsum(count) + count)[region]
    error = np.abs(events.offset[event] - regions.offset[region])
    length = regions.offset[region] - regions.onset[region]
    near = (error <= COLLAR) | (error <= SHARE_OF_LENGTH * length)
    return region[near], event[near]


def _count(clips: int, *clip_of_each: Int[np.ndarray, " _"]) -> Int[np.ndarray, "clip 3"]:
    return np.stack([np.bincount(clip, minlength=clips) for clip in clip_of_each], axis=1)
