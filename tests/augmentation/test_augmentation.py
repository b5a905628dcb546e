import numpy as np
import pytest
from scipy import signal

from fakesound.attacks.codec import transcode
from fakesound.augmentation import CHANGES, augment, effects
from fakesound.augmentation.effects import CODECS
from fakesound.config import AugmentConfig

RATE = 16_000
HELD = 12_000
NEVER = dict.fromkeys(CHANGES, 0.0)
ALWAYS = dict.fromkeys(CHANGES, 1.0)


@pytest.fixture
def audio():
    rng = np.random.default_rng(0)
    output = signal.lfilter([1], [1, -0.9], rng.normal(0, 0.02, RATE)).astype(np.float32)
    output[HELD:] = 0
    return output


def change(audio, shares, seed=0, held=HELD):
    return augment(audio, held, RATE, np.random.default_rng(seed), shares)


def ratio(output, audio):
    """Return the signal-to-noise ratio of ``output`` in decibels."""
    return 10 * np.log10(np.sum(audio**2) / np.sum((output - audio) ** 2))


def test_the_configuration_names_every_change():
    assert set(AugmentConfig().shares()) == set(CHANGES)


def test_all_shares_are_scaled_at_once():
    shares = AugmentConfig().shares()
    assert set(AugmentConfig(scale=0).shares().values()) == {0}
    twice = AugmentConfig(scale=2).shares()
    assert all(twice[name] == min(1, 2 * share) for name, share in shares.items())


@pytest.mark.parametrize("seed", range(4))
def test_padding_stays_zero(audio, seed):
    output = change(audio, ALWAYS, seed)
    assert output.shape == audio.shape
    assert output.dtype == np.float32
    assert not output[HELD:].any()
    assert output[:HELD].any()
    assert np.abs(output).max() <= 1


def test_shares_of_zero_change_nothing(audio):
    before = audio.copy()
    assert np.array_equal(change(audio, NEVER), audio)
    change(audio, ALWAYS)
    assert np.array_equal(audio, before)


@pytest.mark.parametrize("name", CHANGES)
def test_each_change_is_seeded_and_changes_something(audio, name):
    shares = NEVER | {name: 1.0}
    assert not np.array_equal(change(audio, shares, 1), audio)
    assert np.array_equal(change(audio, shares, 1), change(audio, shares, 1))


@pytest.mark.parametrize("name", CHANGES)
def test_changes_do_not_shift_time(audio, name):
    if name == "invert":
        audio = -audio
    for seed in range(4):
        output = change(audio, NEVER | {name: 1.0}, seed)[:HELD]
        result = np.correlate(output, audio[500 : HELD - 500], "valid")
        if name == "invert":
            result = -result
        assert abs(int(np.argmax(result)) - 500) <= 1


@pytest.mark.parametrize("name", CODECS)
def test_codecs_are_aligned_and_similar(audio, name):
    output = transcode(audio[:HELD], RATE, np.random.default_rng(0), name, CODECS[name][1])
    assert output.shape == (HELD,)
    result = np.correlate(output, audio[500 : HELD - 500], "valid")
    assert int(np.argmax(result)) == 500
    assert ratio(output, audio[:HELD]) > 1
    assert not np.array_equal(output, audio[:HELD])


@pytest.mark.parametrize("seed", range(8))
def test_gain_is_one_factor_within_bounds(audio, seed):
    output = change(audio, NEVER | {"gain": 1.0}, seed)
    factor = output[0] / audio[0]
    assert output == pytest.approx(factor * audio, abs=1e-6)
    assert -12.01 <= 20 * np.log10(factor) <= 6.01


def test_inversion_flips_the_sign(audio):
    assert np.array_equal(change(audio, NEVER | {"invert": 1.0}), -audio)


@pytest.mark.parametrize("seed", range(8))
def test_noise_stays_below_the_sound(audio, seed):
    assert 7.5 < ratio(change(audio, NEVER | {"noise": 1.0}, seed), audio) < 50.5


@pytest.mark.parametrize("seed", range(8))
def test_the_band_is_limited_and_unchanged_below(seed):
    white = np.random.default_rng(1).normal(0, 0.1, 8 * RATE).astype(np.float32)
    output = effects.limit_band(white, RATE, np.random.default_rng(seed))
    frequency, before = signal.welch(white, RATE, nperseg=1024)
    _, after = signal.welch(output, RATE, nperseg=1024)
    loss = 10 * np.log10(after / before)
    middle = (frequency > 600) & (frequency < 2_000)
    assert np.abs(loss[middle]).max() < 1.5
    assert loss[frequency > 7_900].max() < -5


def test_a_room_adds_a_tail_after_the_sound():
    click = np.zeros(RATE, np.float32)
    click[100] = 0.5
    output = effects.reverberate(click, RATE, np.random.default_rng(0))
    assert np.abs(output[:100]).max() < 1e-6
    assert output[100] > 0.4
    assert 0 < np.sum(output[101:] ** 2) <= 0.26
    assert np.sum(output[7_000:] ** 2) < 1e-6 * np.sum(output**2)


def test_impulses_follow_the_signal(audio):
    output = change(audio, NEVER | {"impulses": 1.0}, 2)
    off = output != audio
    assert 0 < off[:HELD].mean() < 0.06
    assert np.all(np.abs(output[off] - audio[off]) <= 0.3 * np.abs(audio[off]) + 1e-7)


def test_saturation_never_amplifies(audio):
    output = change(audio, NEVER | {"saturation": 1.0}, 3)
    assert np.all(np.abs(output) <= np.abs(audio) + 1e-7)
    loud, soft = np.abs(audio) > 0.1, (np.abs(audio) < 0.005) & (audio != 0)
    assert np.mean(output[loud] / audio[loud]) < np.mean(output[soft] / audio[soft])


def test_each_change_applies_to_its_share_of_crops(audio):
    half = NEVER | {"invert": 0.5}
    flipped = [np.array_equal(change(audio, half, seed), -audio) for seed in range(300)]
    assert 0.4 < np.mean(flipped) < 0.6


@pytest.mark.parametrize("name", CHANGES)
def test_silence_and_a_few_samples_stay_finite(name):
    silence = np.zeros(1_000, dtype=np.float32)
    for seed in range(2):
        assert np.isfinite(change(silence, NEVER | {name: 1.0}, seed, held=1_000)).all()
        assert np.isfinite(change(silence, NEVER | {name: 1.0}, seed, held=320)).all()
