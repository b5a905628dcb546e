import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score
from torchmetrics.functional.classification import binary_eer

from fakesound.metrics import auc, eer
from fakesound.metrics.counts import number, point_counts
from fakesound.metrics.ranking import average_precision_draws


def average_precision(scores, fake):
    return number(average_precision_draws(point_counts(scores, fake)))


ALL = (auc, average_precision, eer)


def sample(seed, size=90, levels=None):
    rng = np.random.default_rng(seed)
    fake = rng.random(size) < 0.4
    scores = rng.random(size) * 0.7 + 0.3 * fake
    if levels:
        scores = np.round(scores * levels) / levels
    return scores, fake


items = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=30)


@pytest.mark.parametrize("levels", [None, 7])
@pytest.mark.parametrize("seed", range(5))
def test_auc_and_ap_equal_scikit_learn(seed, levels):
    scores, fake = sample(seed, levels=levels)
    assert auc(scores, fake) == pytest.approx(roc_auc_score(fake, scores), abs=1e-12)
    assert average_precision(scores, fake) == pytest.approx(
        average_precision_score(fake, scores), abs=1e-12
    )


@pytest.mark.parametrize("levels", [None, 7])
@pytest.mark.parametrize("seed", range(5))
def test_eer_equals_torchmetrics(seed, levels):
    scores, fake = sample(seed, levels=levels)
    expected = binary_eer(torch.tensor(scores), torch.tensor(fake).long())
    assert eer(scores, fake).rate == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_eer_threshold_gives_the_rates_whose_mean_it_is(seed):
    scores, fake = sample(seed, levels=20)
    result = eer(scores, fake)
    called = scores > result.threshold
    assert result.rate == pytest.approx(((~called)[fake].mean() + called[~fake].mean()) / 2)


def test_eer_by_hand():
    # called fake above 0.5: one fake of four missed, one genuine of four alarmed
    scores = np.array([0.9, 0.8, 0.6, 0.3, 0.7, 0.5, 0.2, 0.1])
    fake = np.array([True] * 4 + [False] * 4)
    result = eer(scores, fake)
    assert (result.rate, result.threshold) == (0.25, 0.5)


@pytest.mark.parametrize(
    ("scores", "rate"), [([0.9, 0.1], 0.0), ([0.1, 0.9], 1.0), ([0.5, 0.5], 0.5)]
)
def test_eer_of_perfect_inverted_and_constant_scores(scores, rate):
    assert eer(np.array(scores), np.array([True, False])).rate == rate


def test_of_two_equally_near_cuts_the_higher_threshold_is_taken():
    # a fake on top and below both genuines: |miss - alarm| is 1/2 at two cuts
    scores, fake = np.array([0.9, 0.7, 0.6, 0.4]), np.array([True, False, False, True])
    result = eer(scores, fake)
    assert (result.rate, result.threshold) == (0.5, 0.6)


@pytest.mark.parametrize("figure", ALL)
@pytest.mark.parametrize("fake", [[], [True, True], [False, False]])
def test_undefined_without_both_labels(figure, fake):
    labels = np.array(fake, dtype=bool)
    assert figure(np.linspace(0, 1, labels.size), labels) is None


@settings(deadline=None)
@given(items)
def test_only_the_order_of_scores_matters(rows):
    scores, fake = np.array([row[0] for row in rows], dtype=float), np.array([r[1] for r in rows])
    for figure in (auc, average_precision, lambda *a: (result := eer(*a)) and result.rate):
        assert figure(np.exp(scores / 3), fake) == figure(scores, fake)


@settings(deadline=None)
@given(items)
def test_auc_of_turned_scores_is_the_complement(rows):
    scores, fake = np.array([row[0] for row in rows], dtype=float), np.array([r[1] for r in rows])
    area = auc(scores, fake)
    if area is not None:
        assert auc(-scores, fake) == pytest.approx(1 - area, abs=1e-12)
