import dataclasses

import numpy as np
import pytest
from scipy import fft, ndimage

from fakesound.augmentation.variation import (
    STFT,
    VARIATIONS,
    cleaned,
    coloured,
    diluted,
    in_band,
    smoothed,
    vary,
)
from fakesound.config import FakeAugmentationConfig

RATE = 16_000
NEVER = dict.fromkeys(VARIATIONS, 0.0)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    return tuple(rng.normal(0, 0.1, RATE).astype(np.float32) for _ in range(2))


def test_the_configuration_names_every_variation():
    assert {field.name for field in dataclasses.fields(FakeAugmentationConfig)} == set(VARIATIONS)


def test_some_frequencies_stay_genuine_and_the_others_are_fake(pair):
    genuine, fake = pair
    spectra = [fft.rfft(part) for part in pair]
    shares = []
    for seed in range(30):
        output = fft.rfft(in_band(genuine, fake, RATE, np.random.default_rng(seed)))
        own = np.abs(output - spectra[0]) < 0.05
        other = np.abs(output - spectra[1]) < 0.05
        assert own.mean() > 0.05
        assert other.mean() > 0.02
        # other bins are in at most two edges, 400 Hz wide
        assert (~own & ~other).mean() < 0.11
        shares.append(other.mean())
    assert max(shares) - min(shares) > 0.5


def test_dilution_leaves_part_of_the_recording(pair):
    genuine, fake = pair
    for seed in range(20):
        output = diluted(genuine, fake, RATE, np.random.default_rng(seed))
        weights, residual, *_ = np.linalg.lstsq(np.stack(pair, axis=1), output, rcond=None)
        assert 0.2 <= weights[0] <= 0.7
        assert weights.sum() == pytest.approx(1, abs=1e-4)
        assert residual[0] < 1e-6


def texture(audio):
    """Return the deviation of log magnitudes from the mean of their neighbours."""
    level = np.log(np.abs(STFT.forward(audio)) + 1e-6)
    return np.std(level - ndimage.uniform_filter(level, (5, 5)))


def test_smoothing_leaves_the_level_and_takes_texture(pair):
    genuine, fake = pair
    for seed in range(12):
        output = smoothed(genuine, fake, RATE, np.random.default_rng(seed))
        assert texture(output) < 0.97 * texture(fake)
        assert np.std(output) == pytest.approx(np.std(fake), rel=0.3)


def test_cleaning_takes_noise_and_leaves_the_tone():
    time = np.arange(RATE) / RATE
    # a tone that comes and goes, above noise that does not
    tone = (0.3 * np.sin(2 * np.pi * 1000 * time) * (time % 0.5 < 0.25)).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 0.003, RATE).astype(np.float32)
    for seed in range(12):
        output = cleaned(tone, tone + noise, RATE, np.random.default_rng(seed))
        on, off = (part[2_000:3_500] for part in (output, output[4_000:]))
        assert np.std(on) == pytest.approx(np.std(tone[2_000:3_500]), rel=0.05)
        assert np.std(off) < 0.8 * np.std(noise)


def test_colour_changes_the_fake_alone(pair):
    genuine, fake = pair
    for seed in range(12):
        output = coloured(genuine, fake, RATE, np.random.default_rng(seed))
        assert output.shape == fake.shape
        assert not np.array_equal(output, fake)
        again = coloured(np.zeros_like(genuine), fake, RATE, np.random.default_rng(seed))
        assert np.array_equal(output, again)


def test_each_variation_applies_to_its_share(pair):
    genuine, fake = pair
    assert vary(genuine, fake, RATE, np.random.default_rng(0), NEVER) is fake
    changed = [
        not np.array_equal(
            vary(genuine, fake, RATE, np.random.default_rng(seed), NEVER | {"dilution": 0.3}), fake
        )
        for seed in range(300)
    ]
    assert 0.2 < np.mean(changed) < 0.4


@pytest.mark.parametrize("name", VARIATIONS)
def test_silence_stays_finite(name):
    silence = np.zeros(4_000, np.float32)
    for seed in range(6):
        output = VARIATIONS[name](silence, silence, RATE, np.random.default_rng(seed))
        assert output.dtype == np.float32
        assert np.isfinite(output).all()
