import numpy as np
import pytest

from fakesound.metrics import ece, reliability


def test_ece_by_hand():
    # bins [.8, .8667): mean .82, two thirds fake; [.0667, .1333): .1, none fake
    scores = np.array([0.81, 0.82, 0.83, 0.1])
    fake = np.array([True, True, False, False])
    assert ece(scores, fake) == pytest.approx(3 / 4 * (0.82 - 2 / 3) + 1 / 4 * 0.1)


def test_calibrated_scores_have_none():
    scores = np.repeat(0.25, 4)
    assert ece(scores, np.array([True, False, False, False])) == 0


def test_scores_of_one_fall_into_the_last_bin():
    assert ece(np.array([1.0, 1.0]), np.array([True, False])) == 0.5
    points = reliability(np.array([1.0, 0.95]), np.array([True, False]))
    assert points.score.tolist() == [0.975]
    assert points.share_fake.tolist() == [0.5]


def test_each_edge_belongs_to_the_bin_above():
    edges = np.arange(15) / 15
    assert reliability(edges, np.zeros(15, dtype=bool)).clips.tolist() == [1.0] * 15


def test_ece_is_the_weighted_gap_of_the_diagram():
    rng = np.random.default_rng(0)
    scores, fake, weights = rng.random(500), rng.random(500) < 0.3, rng.random(500)
    points = reliability(scores, fake, weights)
    gap = np.abs(points.score - points.share_fake)
    assert ece(scores, fake, weights) == pytest.approx(np.average(gap, weights=points.clips))


def test_weights_count_as_repetition():
    rng = np.random.default_rng(1)
    scores, fake, times = rng.random(40), rng.random(40) < 0.5, rng.integers(0, 4, 40)
    repeated = ece(np.repeat(scores, times), np.repeat(fake, times))
    assert ece(scores, fake, times.astype(float)) == pytest.approx(repeated)


def test_defined_for_one_kind_but_not_for_no_clips():
    assert ece(np.array([0.9]), np.array([True])) == pytest.approx(0.1)
    assert ece(np.zeros(0), np.zeros(0, dtype=bool)) is None
    assert reliability(np.zeros(0), np.zeros(0, dtype=bool)).score.size == 0
