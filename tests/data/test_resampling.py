from itertools import pairwise
from math import gcd

import numpy as np
import pytest
from scipy import signal

from fakesound.data.resampling import Resampler

RATES = [8_000, 11_025, 12_345, 16_000, 22_050, 44_100, 48_000, 96_000]


def in_parts(audio, cuts, rate, wanted=16_000):
    resampler = Resampler(rate, wanted)
    parts = [resampler.push(audio[a:b]) for a, b in pairwise([0, *cuts, len(audio)])]
    return np.concatenate([*parts, resampler.finish()])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("samples", [1, 77, 8_000, 60_001])
def test_parts_are_resampled_as_the_whole_is(rate, samples):
    rng = np.random.default_rng(samples)
    audio = rng.normal(0, 0.1, samples).astype(np.float32)
    common = gcd(rate, 16_000)
    whole = audio
    if rate != 16_000:
        whole = signal.resample_poly(audio, 16_000 // common, rate // common)
    for count in (0, 1, 7, 40):
        cuts = sorted(rng.integers(0, samples + 1, count))
        parts = in_parts(audio, cuts, rate)
        assert parts.shape == whole.shape
        assert parts == pytest.approx(whole, abs=1e-6)
        # not merely near: the same, however it was cut
        assert np.array_equal(parts, in_parts(audio, [], rate))
