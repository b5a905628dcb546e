import numpy as np
import pytest

from fakesound.data.augment import Augmentation, augment

RATE = 16_000
ALWAYS = Augmentation(gain=1, invert=1, noise=1, tilt=1)
NEVER = Augmentation(gain=0, invert=0, noise=0, tilt=0)


@pytest.fixture
def audio():
    made = np.random.default_rng(0).normal(0, 0.05, RATE).astype(np.float32)
    made[12_000:] = 0
    return made


def change(audio, settings, seed=0, held=12_000):
    return augment(audio, held, RATE, settings, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_padding_stays_zero(audio, seed):
    made = change(audio, ALWAYS, seed)
    assert made.shape == audio.shape
    assert made.dtype == np.float32
    assert not made[12_000:].any()
    assert made[:12_000].any()
    assert np.abs(made).max() <= 1


def test_nothing_is_done_when_nothing_is_asked(audio):
    before = audio.copy()
    assert np.array_equal(change(audio, NEVER), audio)
    change(audio, ALWAYS)
    assert np.array_equal(audio, before)


@pytest.mark.parametrize("name", ["gain", "invert", "noise", "tilt"])
def test_each_change_is_seeded_and_changes_something(audio, name):
    settings = Augmentation(**({"gain": 0, "invert": 0, "noise": 0, "tilt": 0} | {name: 1}))
    assert not np.array_equal(change(audio, settings, 1), audio)
    assert np.array_equal(change(audio, settings, 1), change(audio, settings, 1))


@pytest.mark.parametrize("seed", range(8))
def test_gain_is_one_factor_within_bounds(audio, seed):
    made = change(audio, Augmentation(gain=1, invert=0, noise=0, tilt=0), seed)
    factor = made[0] / audio[0]
    assert made == pytest.approx(factor * audio, abs=1e-6)
    assert -12.01 <= 20 * np.log10(factor) <= 6.01


def test_inversion_flips_the_sign(audio):
    made = change(audio, Augmentation(gain=0, invert=1, noise=0, tilt=0))
    assert np.array_equal(made, -audio)


@pytest.mark.parametrize("seed", range(8))
def test_noise_stays_below_the_sound(audio, seed):
    made = change(audio, Augmentation(gain=0, invert=0, noise=1, tilt=0), seed)
    ratio = 10 * np.log10(np.sum(audio**2) / np.sum((made - audio) ** 2))
    assert 14.5 < ratio < 45.5


def test_time_does_not_move(audio):
    for seed in range(8):
        made = change(audio, Augmentation(gain=1, invert=0, noise=0, tilt=1), seed)
        product = np.correlate(made[:12_000], audio[500:11_500], "valid")
        assert np.argmax(product) == 500


def test_shares_of_crops(audio):
    half = Augmentation(gain=0, invert=0.5, noise=0, tilt=0)
    flipped = [np.array_equal(change(audio, half, seed), -audio) for seed in range(300)]
    assert 0.4 < np.mean(flipped) < 0.6


def test_silence_stays_finite():
    silence = np.zeros(1_000, dtype=np.float32)
    assert np.isfinite(change(silence, ALWAYS, held=800)).all()
