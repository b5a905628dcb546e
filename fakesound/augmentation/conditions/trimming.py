"""Trimming of clips, and fake regions that move with the audio."""

from collections.abc import Iterable, Sequence
from math import gcd

import numpy as np

from fakesound.timeline import MICROSECONDS, Region, merge_regions, microseconds

LONGEST_CUT = 0.5  # seconds, at either end
LARGEST_SHARE = 4  # of the clip, at either end, is one over this
FAKE_LEFT = 20_000  # microseconds

Spans = Sequence[tuple[int, int]]


def move_regions(regions: Iterable[Region], start: float, duration: float) -> list[Region]:
    """Return ``regions`` as they lie in the ``duration`` seconds of a clip from ``start`` on.

    What lies outside is cut away; computed in whole microseconds.
    """
    first = microseconds(start)
    return [
        Region((onset - first) / MICROSECONDS, (offset - first) / MICROSECONDS)
        for onset, offset in _spans(regions, first, first + microseconds(duration))
    ]


def kept_samples(
    samples: int, rate: int, regions: Sequence[Region], rng: np.random.Generator
) -> slice:
    """Return what is left of a clip of ``samples`` when a random part of either end is cut off.

    Up to 0.5 s go at an end, and no more than a quarter of the clip. Of the clip's fake time at
    least 20 ms stay, or all of it if there is less. The cuts fall on whole microseconds, so that
    regions move exactly.
    """
    longest = min(round(LONGEST_CUT * rate), samples // LARGEST_SHARE)
    start, end = (int(cut) for cut in rng.integers(0, longest, 2, endpoint=True))
    stop = samples - end
    # so many samples last a whole number of microseconds
    step = rate // gcd(rate, MICROSECONDS)
    fake = _spans(merge_regions(regions), 0, samples * MICROSECONDS // rate)
    left = min(FAKE_LEFT, sum(offset - onset for onset, offset in fake))
    if left:
        mirrored = [(-offset, -onset) for onset, offset in reversed(fake)]
        start = min(start, -_time_of(mirrored, left) * rate // MICROSECONDS)
    start -= start % step
    if left:
        heard = [(max(onset, start * MICROSECONDS // rate), offset) for onset, offset in fake]
        stop = max(stop, -(-_time_of(heard, left) * rate // MICROSECONDS))
    return slice(start, min(samples, stop + -stop % step))


def _spans(regions: Iterable[Region], start: int, stop: int) -> list[tuple[int, int]]:
    """Return the parts of ``regions`` in ``[start, stop)``; all are microseconds."""
    cut = (
        (max(microseconds(region.onset), start), min(microseconds(region.offset), stop))
        for region in regions
    )
    return [(onset, offset) for onset, offset in cut if onset < offset]


def _time_of(spans: Spans, wanted: int) -> int:
    """Return when ``wanted`` microseconds of rising ``spans`` have passed."""
    for onset, offset in spans:
        if offset > onset:
            if offset - onset >= wanted:
                return onset + wanted
            wanted -= offset - onset
    raise ValueError(f"the spans last {wanted} us less than asked for")
