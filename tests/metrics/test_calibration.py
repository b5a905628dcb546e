import numpy as np
import pytest

from fakesound.metrics import reliability
from fakesound.metrics.calibration import ece_draws
from fakesound.metrics.counts import number


def ece(scores, fake):
    return number(ece_draws(scores, fake, np.ones((1, fake.size))))


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
    scores, fake = rng.random(500), rng.random(500) < 0.3
    points = reliability(scores, fake)
    gap = np.abs(points.score - points.share_fake)
    assert ece(scores, fake) == pytest.approx(np.average(gap, weights=points.clips))


def test_defined_for_one_kind_but_not_for_no_clips():
    assert ece(np.array([0.9]), np.array([True])) == pytest.approx(0.1)
    assert ece(np.zeros(0), np.zeros(0, dtype=bool)) is None
    assert reliability(np.zeros(0), np.zeros(0, dtype=bool)).score.size == 0
