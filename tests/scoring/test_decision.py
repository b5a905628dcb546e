import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakesound.scoring.decision import GAP, SHORTEST, decide, find_regions
from fakesound.timeline import GRID


def spans(scores, threshold=0.5, duration=None):
    scores = np.array(scores)
    duration = len(scores) * GRID.step if duration is None else duration
    return [
        (round(r.onset, 6), round(r.offset, 6)) for r in find_regions(scores, threshold, duration)
    ]


def test_a_region_continues_at_a_lower_threshold():
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
    (region,) = find_regions(scores, 0.5, 0.12)
    assert region.score == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("score", "threshold", "confidence", "verdict"),
    [
        (0.7, 0.5, 0.6, "fake"),
        (0.3, 0.5, 0.6, "genuine"),
        (0.55, 0.5, 0.6, "uncertain"),
        (0.45, 0.5, 0.6, "uncertain"),
        # certainty is that of the side taken, not of the likelier one
        (0.35, 0.3, 0.6, "uncertain"),
        (0.65, 0.7, 0.6, "uncertain"),
        (0.29, 0.3, 0.6, "genuine"),
        # a score at the threshold is not above it
        (0.5, 0.5, 0.5, "genuine"),
        (0.35, 0.3, 0.0, "fake"),
        (0.0, 0.0, 0.6, "genuine"),
        (1.0, 1.0, 0.0, "genuine"),
    ],
)
def test_a_verdict_follows_from_score_threshold_and_confidence(
    score, threshold, confidence, verdict
):
    assert decide(score, threshold, confidence) == verdict


def test_a_frame_at_the_threshold_of_a_region_is_not_above_it():
    limit = 1 / (1 + np.exp(-0.5))  # log odds of 0.5 above those of the threshold
    assert spans([0.1] * 5 + [np.float64(limit)] * 5 + [0.1] * 5) == []
    assert spans([0.1] * 5 + [limit + 1e-3] * 5 + [0.1] * 5) == [(0.1, 0.2)]


def test_regions_at_thresholds_of_zero_and_one():
    scores = [0.0, 0.2, 1.0, 1.0, 1.0, 0.0]
    assert spans(scores, 1.0) == []
    assert spans(scores, 0.0) == [(0.02, 0.1)]


@given(st.lists(st.floats(0.01, 0.99), min_size=1, max_size=120), st.floats(0, 1))
def test_regions_are_disjoint_ordered_long_enough_and_cover_high_frames(scores, threshold):
    duration = len(scores) * GRID.step
    result = find_regions(np.array(scores, np.float32), threshold, duration)
    last = -1.0
    for region in result:
        assert 0 <= region.onset < region.offset <= duration + 1e-9
        assert region.offset - region.onset >= SHORTEST - 1e-9
        assert region.onset - last >= GAP - 1e-9 or last < 0
        inside = scores[round(region.onset / GRID.step) : round(region.offset / GRID.step)]
        assert max(inside) >= threshold - 1e-6
        last = region.offset


@pytest.mark.parametrize("first", range(40))
def test_regions_exactly_the_gap_apart_are_never_joined(first):
    between = [0.1] * round(GAP / GRID.step)
    result = spans([0.1] * first + [0.9] * 5 + between + [0.9] * 5)
    assert len(result) == 2
