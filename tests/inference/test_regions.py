import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakesound.inference.regions import GAP, SHORTEST, find_regions
from fakesound.timeline import FrameGrid

GRID = FrameGrid()


def spans(scores, threshold=0.5, duration=None):
    scores = np.array(scores, np.float32)
    duration = len(scores) * GRID.step if duration is None else duration
    return [
        (round(r.onset, 6), round(r.offset, 6))
        for r in find_regions(scores, threshold, GRID, duration)
    ]


def test_a_region_begins_high_and_goes_on_a_little_lower():
    assert spans([0.1] * 10 + [0.46, 0.46, 0.9, 0.46, 0.46] + [0.1] * 10) == [(0.2, 0.3)]
    assert spans([0.1] * 10 + [0.44, 0.46, 0.9, 0.9, 0.44] + [0.1] * 10) == [(0.22, 0.28)]
    # never high: none
    assert spans([0.1] * 10 + [0.6] * 10 + [0.1] * 10) == []
    assert spans([0.1] * 10 + [0.6] * 9 + [0.63] + [0.1] * 10) == [(0.2, 0.4)]


def test_neighbours_are_joined_and_flickers_dropped():
    near = [0.9] * 5 + [0.1] * 4 + [0.9] * 5
    assert spans(near) == [(0.0, 0.28)]
    assert spans([0.9] * 5 + [0.1] * 6 + [0.9] * 5) == [(0.0, 0.1), (0.22, 0.32)]
    assert spans([0.1] * 10 + [0.9] * 2 + [0.1] * 10) == []
    assert spans([0.1] * 10 + [0.9] * 3 + [0.1] * 10) == [(0.2, 0.26)]


def test_the_last_region_ends_with_the_recording():
    assert spans([0.1] * 5 + [0.9] * 5, duration=0.193) == [(0.1, 0.193)]


def test_a_region_scores_as_its_frames_do():
    scores = np.array([0.1, 0.1, 0.6, 0.8, 0.7, 0.1], np.float32)
    (region,) = find_regions(scores, 0.5, GRID, 0.12)
    assert region.score == pytest.approx(0.7)


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=120), st.floats(0.1, 0.9))
def test_regions_are_apart_in_order_long_enough_and_hold_what_is_high(scores, threshold):
    duration = len(scores) * GRID.step
    found = find_regions(np.array(scores, np.float32), threshold, GRID, duration)
    last = -1.0
    for region in found:
        assert 0 <= region.onset < region.offset <= duration + 1e-9
        assert region.offset - region.onset >= SHORTEST - 1e-9
        assert region.onset - last >= GAP - 1e-9 or last < 0
        inside = scores[round(region.onset / GRID.step) : round(region.offset / GRID.step)]
        assert max(inside) >= threshold - 1e-6
        last = region.offset
