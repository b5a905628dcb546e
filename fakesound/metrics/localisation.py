"""How well the fake parts of a clip are found."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from fakesound.metrics.levels import Levels, levels, number, ratio
from fakesound.metrics.ranking import EqualError, equal_error
from fakesound.metrics.scores import ClipScore
from fakesound.metrics.tape import Segments, Spans, Tape, segments, tape_of

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


def event_counts(tape: Tape, called: Bool[np.ndarray, " frame"]) -> Int[np.ndarray, "clip 3"]:
    """Return each clip's regions found, events that match no region, and regions missed.

    See :func:`event_f1` for when an event, a run of called frames, matches a region.
    """
    events = tape.spans(called)
    region, event = _candidates(tape, events)
    partner = np.full(tape.regions.clip.size, -1)
    if region.size:
        edges = csr_array(
            (np.ones(region.size, dtype=np.int8), (region, event)),
            shape=(tape.regions.clip.size, events.clip.size),
        )
        partner = maximum_bipartite_matching(edges, perm_type="column")
    found = partner >= 0
    unmatched = np.delete(np.arange(events.clip.size), partner[found])
    return _count(
        tape.clips,
        tape.regions.clip[found],
        events.clip[unmatched],
        tape.regions.clip[~found],
    )


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
    counts = segment_counts(segments(tape_of(scores), resolution), frame_thresholds(scores))
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
    tape = tape_of(scores)
    counts = event_counts(tape, tape.called(frame_thresholds(scores)))
    return number(f1_draws(counts, np.ones((1, len(scores)))))


def add_score(accuracy: float | None, f1: float | None) -> float | None:
    """Return ``0.3 accuracy + 0.7 F1``: clip accuracy and segment F1 at 20 ms in one figure.

    The form of ADD 2023 track 2 (Yi et al. 2023). None where either is undefined.
    """
    if accuracy is None or f1 is None:
        return None
    return float(add_score_draws(np.array([accuracy]), np.array([f1]))[0])


def add_score_draws(
    accuracy: Float[np.ndarray, " draw"], f1: Float[np.ndarray, " draw"]
) -> Float[np.ndarray, " draw"]:
    """Return :func:`add_score` in each draw, NaN where it is undefined."""
    return ADD_WEIGHT_OF_CLIPS * accuracy + (1 - ADD_WEIGHT_OF_CLIPS) * f1


def range_eer(scores: Sequence[ClipScore]) -> EqualError | None:
    """Return the equal error rate over time rather than over frames.

    Miss rate: share of the fake time with a score not above the threshold. False alarm rate: share
    of the genuine time with a score above it (Zhang et al. 2023). Exact: frames are cut where
    regions begin and end, and each piece weighs its duration, so the figure does not flatter
    coarse frames. None unless there are both fake and genuine time.

    Raises:
        InputError: if a clip has no frame scores.
    """
    return equal_error(range_levels(tape_of(scores)))


def frame_levels(tape: Tape) -> Levels:
    """Return the frames by score, each counting once."""
    fake = tape.frame_fake[None]
    return levels(tape.frame_score, fake, ~fake)


def range_levels(tape: Tape) -> Levels:
    """Return the frames by score, each counting by the fake and the genuine time in it."""
    fake = tape.frame_fake_time[None]
    return levels(tape.frame_score, fake, np.diff(tape.frame_edge) - fake)


def _candidates(tape: Tape, events: Spans) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs of a region and an event near enough to match."""
    regions = tape.regions
    # the collar never reaches into a neighbouring clip
    earliest = np.maximum(regions.onset - COLLAR, tape.clip_edge[:-1][regions.clip])
    latest = np.minimum(regions.onset + COLLAR, tape.clip_edge[1:][regions.clip] - 1)
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
