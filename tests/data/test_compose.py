from itertools import pairwise

import numpy as np
import pytest

from fakesound.data.compose import LARGEST_GAIN, Cut, cut_in, draw_cuts, level_gain

RATE = 16_000


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return tuple(rng.normal(0, 2_000, RATE).round().astype(np.int16) for _ in range(2))


@pytest.mark.parametrize("fade", [0, 1, 160, 10_000])
def test_outside_the_cuts_nothing_changes(pair, fade):
    genuine, fake = pair
    before = genuine.copy()
    cuts = [Cut(0, 700, fade), Cut(5_000, 5_640, fade), Cut(15_000, RATE, fade)]
    mixed = cut_in(genuine, fake, cuts)
    outside = np.ones(RATE, dtype=bool)
    for cut in cuts:
        outside[cut.start : cut.stop] = False
        assert (mixed != genuine)[cut.start : cut.stop].mean() > 0.8
    assert np.array_equal(mixed[outside], genuine[outside])
    assert np.array_equal(genuine, before)
    assert mixed.dtype == np.int16


def test_without_cuts_nothing_changes(pair):
    assert np.array_equal(cut_in(*pair, []), pair[0])


def test_a_hard_cut_is_the_fake_at_the_level_of_what_it_replaces(pair):
    genuine, fake = pair
    for quieter in (1, 2, 3):
        mixed = cut_in(genuine, fake // quieter, [Cut(4_000, 8_000)])
        part, old = mixed[4_000:8_000].astype(float), genuine[4_000:8_000].astype(float)
        assert np.std(part) == pytest.approx(np.std(old), rel=0.01)
        assert np.corrcoef(part, fake[4_000:8_000])[0, 1] > 0.999


def test_a_fade_interpolates_between_both(pair):
    genuine, fake = (np.full(2_000, value, dtype=np.int16) for value in (1_000, -1_000))
    mixed = cut_in(genuine, fake, [Cut(500, 1_500, 200)]).astype(float)
    rise, fall = mixed[500:700], mixed[1_300:1_500]
    assert np.array_equal(rise, fall[::-1])
    assert (np.diff(rise) < 0).all()
    # equal power: the weights' squares sum to one
    angle = (np.arange(200) + 0.5) / 200 * np.pi / 2
    assert rise == pytest.approx(1_000 * (np.cos(angle) - np.sin(angle)), abs=1)
    assert (mixed[700:1_300] == -1_000).all()


def test_loud_results_are_clipped_and_never_wrap_around():
    genuine = np.full(1_000, 32_767, dtype=np.int16)
    fake = np.where(np.arange(1_000) % 10, 3_000, -32_768).astype(np.int16)
    mixed = cut_in(genuine, fake, [Cut(100, 900)])[100:900]
    assert np.array_equal(np.sign(mixed), np.sign(fake[100:900]))


@pytest.mark.parametrize("levels", [(100, 100), (200, 100), (100, 350), (30_000, 8_000)])
def test_the_gain_matches_the_level(levels):
    old, new = (np.tile([level, -level], 500) for level in levels)
    assert level_gain(old, new) == pytest.approx(levels[0] / levels[1], rel=1e-3)


@pytest.mark.parametrize("levels", [(30_000, 1), (1, 30_000), (0, 0), (0, 30_000), (30_000, 0)])
def test_the_gain_is_bounded(levels):
    old, new = (np.full(1_000, level, dtype=np.int16) for level in levels)
    gain = level_gain(old, new)
    assert 1 / LARGEST_GAIN <= gain <= LARGEST_GAIN
    assert 20 * np.log10(LARGEST_GAIN) == pytest.approx(12, abs=0.1)


@pytest.mark.parametrize("length", [10, 640, 641, 8_000, RATE, 10 * RATE])
@pytest.mark.parametrize("longest", [None, 0.12, 2.0])
def test_cuts_lie_apart_and_inside_the_clip(length, longest):
    rng = np.random.default_rng(length)
    for _ in range(200):
        cuts = draw_cuts(rng, length, RATE, shortest=0.04, longest=longest, most=4)
        assert 1 <= len(cuts) <= 4
        assert cuts == sorted(cuts, key=lambda cut: cut.start)
        assert cuts[0].start >= 0
        assert cuts[-1].stop <= length
        for cut, following in pairwise(cuts):
            assert following.start - cut.stop >= 0.06 * RATE
        for cut in cuts:
            top = length // 2 if longest is None else min(length, int(longest * RATE))
            assert min(640, top) <= cut.stop - cut.start <= top
            assert cut.fade == 0 or 0.002 * RATE <= cut.fade <= 0.02 * RATE


def test_cuts_come_in_all_sizes_hard_and_soft():
    rng = np.random.default_rng(0)
    drawn = [draw_cuts(rng, 2 * RATE, RATE) for _ in range(500)]
    sizes = np.array([(c.stop - c.start) / RATE for cuts in drawn for c in cuts])
    assert sizes.min() < 0.06
    assert sizes.max() > 0.9
    assert {len(cuts) for cuts in drawn} == {1, 2, 3}
    assert 0.4 < np.mean([c.fade > 0 for cuts in drawn for c in cuts]) < 0.6


def test_the_same_seed_draws_the_same_cuts():
    assert draw_cuts(np.random.default_rng(4), RATE, RATE) == draw_cuts(
        np.random.default_rng(4), RATE, RATE
    )
