"""Boundary metrics by hand and against brute force."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from fakesound.metrics.boundaries import (
    boundary_block,
    boundary_threshold,
    find_edges,
    peaks,
    true_edges,
)

from .conftest import build_clip


def clip(regions, peaks_at=(), frames=50, threshold=0.5, number=0):
    """Return a clip whose boundary scores are 0.1 except for peaks at some frames."""
    scores = np.full(frames, 0.1, np.float32)
    for frame, score in dict(peaks_at).items():
        scores[frame] = score
    return build_clip(
        str(number),
        regions=regions,
        duration=frames * 0.02,
        boundary_scores=scores,
        boundary_threshold=threshold,
    )


def test_the_ends_of_a_clip_are_no_edges():
    assert true_edges(clip([(0.0, 0.3), (0.7, 1.0)])).tolist() == [300_000, 700_000]
    assert true_edges(clip([(0.0, 1.0)])).tolist() == []
    # one region, not two with an edge between them
    assert true_edges(clip([(0.2, 0.3), (0.3, 0.5)])).tolist() == [200_000, 500_000]


def test_peaks_come_from_the_highest_down_and_apart():
    scores = np.array([0.9, 0.1, 0.1, 0.1, 0.3, 0.8, 0.3, 0.7, 0.1, 0.1, 0.5, 0.5, 0.5, 0.1, 0.6])
    places, heights = peaks(scores)
    # 7 is two frames from a higher peak, and a plateau counts once, in its middle
    assert places.tolist() == [0, 5, 14, 11]
    assert heights.tolist() == [0.9, 0.8, 0.6, 0.5]


def test_an_edge_is_found_within_40_ms_by_the_middle_of_a_frame():
    # frames 8 to 11 have their middles at 170, 190, 210 and 230 ms
    for frame, right in ((7, False), (8, True), (9, True), (11, True), (12, False)):
        result = find_edges([clip([(0.2, 1.0)], {frame: 0.9})])
        assert result.right.tolist() == [right, *[False] * (len(result.right) - 1)]


def test_figures_by_hand():
    # edges at 200, 400 and 600 ms; one found, one alarm, one peak below the threshold, one missed
    block = boundary_block([clip([(0.2, 0.4), (0.6, 1.0)], {10: 0.9, 45: 0.8, 20: 0.3})])
    assert block["edges"] == 3
    assert block["precision"] == pytest.approx(1 / 2)
    assert block["recall"] == pytest.approx(1 / 3)
    assert block["f1_40ms"] == pytest.approx(2 / 5)
    # the first peak is right, the third as well: of three edges
    assert block["ap"] == pytest.approx((1 + 2 / 3) / 3)


def test_an_edge_is_found_once():
    block = boundary_block([clip([(0.2, 1.0)], {8: 0.9, 11: 0.8})])
    assert (block["precision"], block["recall"]) == (0.5, 1.0)


def test_average_precision_is_that_of_scikit_learn_with_missed_edges():
    rng = np.random.default_rng(0)
    clips = []
    for number in range(40):
        onset, offset = np.sort(rng.uniform(0, 1, 2))
        score = clip([(onset, max(offset, onset + 0.05))] * (number % 2), number=number)
        score.boundary_scores[:] = rng.random(50).astype(np.float32).round(2)
        clips.append(score)
    result = find_edges(clips)
    missed = result.true - result.right.sum()
    assert missed > 0
    # missed edges rank last, where the precision differs from ours
    expected = (
        average_precision_score(result.right, result.score) * result.right.sum() / result.true
    )
    assert boundary_block(clips)["ap"] == pytest.approx(expected)


def test_the_threshold_has_the_highest_f1():
    rng = np.random.default_rng(1)
    clips = []
    for number in range(30):
        places = {10: rng.random(), 30: rng.random() ** 2, 40: rng.random() ** 3}
        clips.append(clip([(0.21, 0.61)] * (number % 3 > 0), places, number=number))
    threshold = boundary_threshold(clips)

    def f1(at):
        remade = [
            clip([(r.onset, r.offset) for r in c.regions], enumerate(c.boundary_scores), 50, at)
            for c in clips
        ]
        return boundary_block(remade)["f1_40ms"]

    # scores never coincide with what is tried
    assert f1(threshold) == max(f1(at) for at in np.linspace(0, 1, 61) + 1e-5 if at < 1)


def test_undefined_figures_are_none():
    block = boundary_block([clip([])])
    assert block["edges"] == 0
    assert block["ap"] is block["recall"] is block["f1_40ms"] is block["precision"] is None
    assert boundary_threshold([clip([])]) == 0.5
    silent = boundary_block([clip([(0.2, 0.4)], {40: 0.9})])
    assert (silent["ap"], silent["f1_40ms"]) == (0, 0)
    without = build_clip(regions=[(0.2, 0.4)])
    assert boundary_block([without]) is None
    assert boundary_threshold([without]) is None
