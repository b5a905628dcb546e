"""Alignment of a fake with its recording."""

import numpy as np
import pytest

from fakesound.corpora.public_generators.alignment import align

RATE = 16_000


def speech_like(seed, samples=3 * RATE):
    rng = np.random.default_rng(seed)
    envelope = np.repeat(rng.random(samples // 1_600 + 1) ** 3, 1_600)[:samples]
    return (envelope * rng.standard_normal(samples) * 0.1).astype(np.float32)


def moved(audio, lag):
    """Return ``audio`` delayed by ``lag`` samples."""
    return np.concatenate((np.zeros(lag, np.float32), audio)) if lag > 0 else audio[-lag:]


@pytest.mark.parametrize("lag", [0, 1, 37, 640, -1, -800, 2_000])
@pytest.mark.parametrize("polarity", [1, -1])
def test_waveforms_are_aligned_to_the_sample(lag, polarity):
    twin = speech_like(0)
    noise = np.random.default_rng(1).normal(0, 0.01, len(moved(twin, lag))).astype(np.float32)
    result = align(polarity * 0.3 * moved(twin, lag) + noise, twin, RATE)
    assert result is not None
    assert result.phase
    assert round(result.lag * RATE) == lag


@pytest.mark.parametrize("lag", [0, 640, -640])
def test_envelopes_are_aligned_where_the_phase_is_lost(lag):
    twin = speech_like(0)
    signs = np.where(np.random.default_rng(1).random(len(twin)) < 0.5, -1, 1)
    result = align(moved((signs * twin).astype(np.float32), lag), twin, RATE)
    assert result is not None
    assert not result.phase
    assert abs(result.lag * RATE - lag) <= 64


def test_another_recording_is_not_aligned():
    assert align(speech_like(0), speech_like(1), RATE) is None
