"""Metrics of localisation: segment F1 and event F1."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from fakesound.metrics.counts import number, ratio
from fakesound.metrics.frames import FrameTable, Segments, Spans, frame_table, segments
from fakesound.metrics.scores import ClipScore

COLLAR = 250_000  # microseconds by which onset and offset of an event may be off
OFFSET_SHARE = 0.5  # share of the length of the region by which the offset may be off
CLIP_WEIGHT = 0.3  # weight of clip accuracy in the ADD score


def frame_thresholds(scores: Sequence[ClipScore]) -> Float[np.ndarray, " clip"]:
    """Return the frame threshold of each clip."""
    return np.array([clip.frame_threshold for clip in scores], dtype=np.float64)


def segment_counts(
    items: Segments, threshold: Float[np.ndarray, " clip"]
) -> Int[np.ndarray, "clip 3"]:
    """Count true positives, false positives and false negatives of each clip's segments."""
    called = items.score > threshold[items.clip]
    return _count(
        threshold.size,
        items.clip[called & items.fake],
        items.clip[called & ~items.fake],
        items.clip[~called & items.fake],
    )


def event_counts(table: FrameTable, regions: Spans, events: Spans) -> Int[np.ndarray, "clip 3"]:
    """Count true positives, false positives and false negatives of each clip's events.

    An event is a run of called frames; :func:`event_f1` defines when it matches a region.
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
    """Return a largest one-to-one matching of regions and events, as two arrays of indices."""
    region, event = _candidates(regions, events, clip_edge)
    if not region.size:
        return region, event
    # imported here: slow, and detection matches no events
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    edges = csr_array(
        (np.ones(region.size, dtype=np.int8), (region, event)),
        shape=(regions.clip.size, events.clip.size),
    )
    partner = maximum_bipartite_matching(edges, perm_type="column").astype(np.int64)
    matched = np.flatnonzero(partner >= 0)
    return matched, partner[matched]


def f1_draws(
    counts: Int[np.ndarray, "clip 3"], weights: Float[np.ndarray, "draw clip"]
) -> Float[np.ndarray, " draw"]:
    """Return ``2 tp / (2 tp + fp + fn)`` over all clips of each draw, NaN without fakes."""
    tp, fp, fn = (weights @ counts.astype(np.float64)).T
    return ratio(2 * tp, np.where(tp + fn > 0, 2 * tp + fp + fn, 0.0))


def segment_f1(scores: Sequence[ClipScore], resolution: int) -> float | None:
    """Return F1 over segments of ``resolution`` microseconds, micro-averaged over all clips.

    A segment is fake if a region overlaps it, and called fake if a frame that overlaps it scores
    above the clip's frame threshold. This is the segment-based F of sed_eval (Mesaros et al. 2016),
    which FakeSound reports (Xie et al. 2024). Genuine clips can only add false alarms. None without
    fakes.

    Raises:
        InputError: if a clip has no frame scores.
    """
    counts = segment_counts(segments(frame_table(scores), resolution), frame_thresholds(scores))
    return number(f1_draws(counts, np.ones((1, len(scores)))))


def event_f1(scores: Sequence[ClipScore]) -> float | None:
    """Return F1 over events, which are runs of frames called fake, micro-averaged over all clips.

    An event matches a region if its onset lies within 250 ms of the region's, and its offset within
    250 ms or half the region's length, whichever is larger. The matching is one-to-one and as large
    as possible; touching regions are merged. This is the event-based F of sed_eval (Mesaros et al.
    2016), except that a genuine clip without events does not count as a match. None without fakes.

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
    """Return event F1 as FakeSound computes it with sed_eval, for comparison with published values.

    As :func:`event_f1`, but a clip without regions, or without events, gets one from 0 to 0 s, as
    in FakeSound's scripts (Xie et al. 2024). A genuine clip without events then counts as a match,
    so the metric rises with the share of genuine clips: do not rank systems by it. NaN without
    clips.
    """
    counts = event_counts(
        table, _never_empty(table, table.regions), _never_empty(table, table.spans(called))
    )
    return f1_draws(counts, np.ones((1, table.clips)))


def add_score_draws(
    accuracy: Float[np.ndarray, " draw"], f1: Float[np.ndarray, " draw"]
) -> Float[np.ndarray, " draw"]:
    """Return ``0.3 accuracy + 0.7 F1`` in each draw, NaN if either is undefined.

    Combines clip accuracy and segment F1 at 20 ms as in ADD 2023 track 2 (Yi et al. 2023).
    """
    return CLIP_WEIGHT * accuracy + (1 - CLIP_WEIGHT) * f1


def _never_empty(table: FrameTable, spans: Spans) -> Spans:
    """Add an empty span at the start of each clip without spans."""
    empty = np.setdiff1d(np.arange(table.clips), spans.clip)
    index = np.searchsorted(spans.clip, empty)
    start = table.clip_edge[empty]
    return Spans(
        np.insert(spans.clip, index, empty),
        np.insert(spans.onset, index, start),
        np.insert(spans.offset, index, start),
    )


def _candidates(
    regions: Spans, events: Spans, clip_edge: Int[np.ndarray, " clip_edge"]
) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs of a region and an event that matches it, as two arrays of indices."""
    # the collar must not reach into a neighbouring clip
    earliest = np.maximum(regions.onset - COLLAR, clip_edge[:-1][regions.clip])
    latest = np.minimum(regions.onset + COLLAR, clip_edge[1:][regions.clip] - 1)
    first = np.searchsorted(events.onset, earliest, side="left")
    count = np.searchsorted(events.onset, latest, side="right") - first
    region = np.repeat(np.arange(regions.clip.size), count)
    event = np.arange(region.size) + (first - np.cumsum(count) + count)[region]
    error = np.abs(events.offset[event] - regions.offset[region])
    length = regions.offset[region] - regions.onset[region]
    near = (error <= COLLAR) | (error <= OFFSET_SHARE * length)
    return region[near], event[near]


def _count(clips: int, *clip_of_item: Int[np.ndarray, " _"]) -> Int[np.ndarray, "clip 3"]:
    return np.stack([np.bincount(clip, minlength=clips) for clip in clip_of_item], axis=1)
