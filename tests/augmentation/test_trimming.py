import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakesound.augmentation.conditions import (
    CONDITIONS,
    apply_condition,
    kept_samples,
    move_regions,
)
from fakesound.timeline import Region, microseconds


def trimmed(audio, rate, regions, key):
    return apply_condition(CONDITIONS["trim"], audio, rate, regions, key)


def fake_samples(regions, samples, rate):
    """Return which samples begin in a region, computed sample by sample."""
    time = np.arange(samples) * 1_000_000
    fake = np.zeros(samples, dtype=bool)
    for region in regions:
        onset, offset = microseconds(region.onset) * rate, microseconds(region.offset) * rate
        fake |= (time >= onset) & (time < offset)
    return fake


def test_moved_regions_by_hand():
    regions = [Region(0.1, 0.2), Region(0.25, 0.5), Region(0.9, 1.4), Region(1.6, 1.7)]
    assert move_regions(regions, 0.3, 0.8) == [Region(0.0, 0.2), Region(0.6, 0.8)]
    assert move_regions(regions, 0.0, 2.0) == regions
    assert move_regions(regions, 1.4, 0.2) == []


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 44_100, 48_000])
def test_every_sample_keeps_its_label(rate):
    samples = round(2.3 * rate)
    audio = np.arange(1, samples + 1).astype(np.float32)
    regions = (Region(0.1234, 0.3), Region(0.3, 0.55501), Region(1.9, 2.3))
    starts, ends = set(), set()
    for key in range(40):
        cut, moved, duration = trimmed(audio, rate, regions, str(key))
        start = int(cut[0]) - 1
        assert np.array_equal(cut, audio[start : start + len(cut)])
        before = fake_samples(regions, samples, rate)[start : start + len(cut)]
        assert np.array_equal(fake_samples(moved, len(cut), rate), before)
        assert start * 1_000_000 % rate == 0
        assert duration == len(cut) / rate
        starts.add(start)
        ends.add(samples - start - len(cut))
    for cuts in (starts, ends):
        assert len(cuts) > 8
        assert min(cuts) < 0.1 * rate
        assert 0.35 * rate < max(cuts) <= 0.5 * rate


@given(
    spans=st.lists(
        st.tuples(st.integers(0, 990_000), st.integers(1, 400_000)), min_size=0, max_size=4
    ),
    samples=st.integers(1, 20_000),
    rate=st.sampled_from([8_000, 11_025, 16_000, 44_100]),
    seed=st.integers(0, 50),
)
def test_enough_of_every_fake_stays(spans, samples, rate, seed):
    end = samples * 1_000_000 // rate
    regions = [
        Region(onset / 1e6, min(onset + length, end) / 1e6)
        for onset, length in spans
        if onset < end
    ]
    kept = kept_samples(samples, rate, regions, np.random.default_rng(seed))
    assert 0 <= kept.start < kept.stop <= samples
    assert kept.stop - kept.start >= samples / 2
    moved = move_regions(regions, kept.start / rate, (kept.stop - kept.start) / rate)
    time = fake_time(moved, end)
    assert time >= min(20_000, fake_time(regions, end))


def fake_time(regions, end):
    fake = np.zeros(end + 1, dtype=bool)
    for region in regions:
        fake[microseconds(region.onset) : microseconds(region.offset)] = True
    return int(fake.sum())


@pytest.mark.parametrize("region", [Region(0.0, 0.03), Region(1.97, 2.0), Region(0.0, 0.01)])
def test_a_fake_at_the_very_end_stays_fake(region):
    audio = np.ones(32_000, dtype=np.float32)
    for key in range(20):
        moved = trimmed(audio, 16_000, (region,), str(key))[1]
        assert sum(part.duration for part in moved) >= min(0.02, region.duration) - 1e-9
