"""A laundered fake and its partner differ only in the generator."""

import numpy as np
import pytest
from scipy import signal

from fakesound.augmentation.laundering import (
    SIZE,
    active_level,
    aligning_filter,
    bandwidth,
    launder,
)

RATE = 16_000
SHARES = {"align": 0.0, "band": 0.0}


def noise(seed, samples=2 * RATE, slope=0.0):
    white = np.random.default_rng(seed).standard_normal(samples)
    return signal.lfilter([1], [1, -slope], white).astype(np.float32) * np.float32(0.02)


def spectrum(audio):
    """Return the mean power in windows, as estimated by scipy."""
    return signal.welch(audio, RATE, nperseg=SIZE, scaling="spectrum", detrend=False)[1]


def aligned(audio, other):
    taps = aligning_filter(spectrum(audio), spectrum(other), RATE)
    return signal.fftconvolve(audio, taps, mode="same")


def third_octaves(audio):
    frequency, power = signal.welch(audio, RATE, nperseg=2048)
    centres = 200 * 2 ** (np.arange(0, 15) / 3)
    inside = [(frequency > c / 2 ** (1 / 6)) & (frequency < c * 2 ** (1 / 6)) for c in centres]
    return 10 * np.log10([power[band].mean() for band in inside])


@pytest.mark.parametrize("seed", range(4))
def test_both_have_one_level_and_offset(seed):
    fake, genuine = 7 * noise(0) + 0.1, noise(1) - 0.05
    pair = launder(fake, genuine, RATE, np.random.default_rng(seed), SHARES)
    for part in pair:
        assert part.dtype == np.float32
        assert active_level(part, RATE) == pytest.approx(10 ** (-26 / 20), rel=0.02)
        assert abs(part.mean()) < 1e-4


def test_both_have_the_band_of_the_narrower():
    taps = signal.firwin(257, 3_000, fs=RATE)
    narrow = signal.oaconvolve(noise(0), taps, mode="same").astype(np.float32)
    for pair in ((narrow, noise(1)), (noise(1), narrow)):
        output = launder(*pair, RATE, np.random.default_rng(0), SHARES)
        tops = [bandwidth(spectrum(part), RATE) for part in output]
        assert max(tops) < 3_400
        assert abs(tops[0] - tops[1]) < 250


def test_a_share_has_a_band_lower_than_both():
    shares = {"align": 0.0, "band": 1.0}
    pairs = [launder(noise(0), noise(1), RATE, np.random.default_rng(n), shares) for n in range(20)]
    tops = [bandwidth(spectrum(fake), RATE) for fake, _ in pairs]
    assert min(tops) < 5_000
    assert sum(top < 7_500 for top in tops) > 10


def test_alignment_brings_the_long_term_spectrum_of_one_to_the_other():
    dark, bright = noise(0, slope=0.6), noise(1)
    before = third_octaves(dark) - third_octaves(bright)
    after = third_octaves(aligned(dark, bright)) - third_octaves(bright)
    assert np.ptp(before) > 9
    assert np.ptp(after) < 2.5


def test_alignment_changes_no_band_by_more_than_8_db():
    extreme = signal.lfilter([1], [1, -0.98], noise(0)).astype(np.float32)
    gain = third_octaves(aligned(extreme, noise(1))) - third_octaves(extreme)
    assert np.abs(gain).max() < 9


def test_silence_is_dithered_alike():
    fake = noise(0)
    fake[RATE:] = 0
    floors = [
        np.std(part[RATE + 400 :])
        for part in launder(fake, noise(1) * 0 + fake, RATE, np.random.default_rng(0), SHARES)
    ]
    assert floors[0] == pytest.approx(floors[1], rel=0.05)
    assert 10 ** (-98.5 / 20) < floors[0] < 10 ** (-70 / 20)


def test_a_pair_without_any_sound_stays_finite():
    output = launder(
        np.zeros(100, np.float32), np.zeros(100, np.float32), RATE, np.random.default_rng(0), SHARES
    )
    assert all(np.isfinite(part).all() for part in output)
