import numpy as np
import pytest

from fakesound.metrics import cllr, min_dcf
from fakesound.metrics.cost import act_dcf_draws
from fakesound.metrics.counts import number

# called fake from the top: 2 fake, 1 genuine, 0 fake, -1 genuine, -2 genuine
LOGITS = np.array([2.0, 0.0, 1.0, -1.0, -2.0])
FAKE = np.array([True, True, False, False, False])


def act_dcf(logits, fake):
    return number(act_dcf_draws(logits, fake, np.ones((1, fake.size))))


FIGURES = (min_dcf, act_dcf, cllr)


def test_min_dcf_by_hand():
    # above 1: half of the fakes accepted, 10 x .05 x 1/2 = .25, over min(.95, .5) = .5
    assert min_dcf(LOGITS, FAKE) == pytest.approx(0.5)


def test_act_dcf_by_hand():
    # above log 1.9 = .64: a third of the genuines rejected, half of the fakes accepted
    assert act_dcf(LOGITS, FAKE) == pytest.approx((0.95 / 3 + 0.25) / 0.5)


def test_act_dcf_turns_at_log_of_1_9():
    fake = np.array([True, False])
    below, above = np.log(1.9) - 1e-9, np.log(1.9) + 1e-9
    assert act_dcf(np.array([above, -5.0]), fake) == 0
    assert act_dcf(np.array([below, -5.0]), fake) == pytest.approx(1)
    assert act_dcf(np.array([5.0, above]), fake) == pytest.approx(1.9)


def test_cllr_by_hand():
    assert cllr(np.zeros(5), FAKE) == pytest.approx(1)
    odds = np.log(np.array([3.0, 1.0, 1.0, 1.0, 1.0]))
    # the fake with odds 3 costs log2(4/3), everything else one bit
    assert cllr(odds, FAKE) == pytest.approx(((np.log2(4 / 3) + 1) / 2 + 1) / 2)


def asvspoof5(logits, fake):
    """Return the three figures in the convention of the challenge: higher means bona fide."""
    bona_fide, spoof = -logits[~fake], -logits[fake]
    p_spoof, c_miss, c_fa = 0.05, 1, 10

    def cost(threshold):
        p_miss, p_fa = np.mean(bona_fide < threshold), np.mean(spoof >= threshold)
        dcf = c_miss * (1 - p_spoof) * p_miss + c_fa * p_spoof * p_fa
        return dcf / min(c_fa * p_spoof, c_miss * (1 - p_spoof))

    candidates = np.append(np.concatenate((bona_fide, spoof)), np.inf)
    beta = c_miss * (1 - p_spoof) / (c_fa * p_spoof)
    bits = np.mean(np.log2(1 + np.exp(-bona_fide))) + np.mean(np.log2(1 + np.exp(spoof)))
    return min(map(cost, candidates)), cost(-np.log(beta)), bits / 2


@pytest.mark.parametrize("seed", range(5))
def test_figures_equal_the_definitions_of_asvspoof_5(seed):
    rng = np.random.default_rng(seed)
    fake = rng.random(60) < 0.5
    logits = np.round(rng.normal(size=60) * 2 + fake, 1)
    ours = [figure(logits, fake) for figure in FIGURES]
    assert ours == pytest.approx(asvspoof5(logits, fake))


def test_min_dcf_of_a_worthless_system_is_one_and_never_above():
    assert min_dcf(np.zeros(5), FAKE) == 1
    assert min_dcf(-LOGITS, FAKE) == 1


def test_huge_logits_stay_finite():
    assert cllr(np.array([-800.0, 800.0]), np.array([True, False])) == pytest.approx(
        800 / np.log(2)
    )


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("fake", [[], [True, True], [False]])
def test_undefined_without_both_labels(figure, fake):
    assert figure(np.zeros(len(fake)), np.array(fake, dtype=bool)) is None
