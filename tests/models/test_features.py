import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
import scipy.signal
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fakesound.models.features import POWER_FLOOR, Spectrogram
from fakesound.timeline import FrameGrid

ROOT = Path(__file__).parents[2]
RATE, WINDOW, HOP = 16_000, 512, 160
KINDS = {"logstft": 256, "logmel": 40, "lfcc": 30}


def spectrogram(kind="logstft", window=WINDOW, hop=HOP, bins=None):
    return Spectrogram(kind, RATE, window, hop, bins or KINDS[kind])


def noise(*shape, seed=0, scale=0.1):
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def power(samples, window, hop):
    """Return the power in windows centred in their hops by numpy: (bin, window)."""
    left = (window - hop) // 2
    padded = np.pad(samples.astype(np.float64), (left, window - hop - left))
    shape = scipy.signal.get_window("hann", window)
    starts = range(0, len(samples), hop)
    return np.stack([np.abs(np.fft.rfft(padded[s : s + window] * shape)) ** 2 for s in starts], 1)


def triangles(corners, bins):
    """Return triangular filters with feet and tops at ``corners`` Hz: (bin, filter)."""
    frequencies = np.linspace(0, RATE / 2, bins)
    places = zip(corners, corners[1:], corners[2:], strict=False)
    return np.stack([np.interp(frequencies, place, (0, 1, 0)) for place in places], 1)


def hertz(mel):
    return 700 * (10 ** (mel / 2595) - 1)


@pytest.mark.parametrize(("window", "hop"), [(512, 160), (400, 160), (256, 80), (321, 160)])
def test_level_is_the_log_power_of_windows_centred_in_their_hops(window, hop):
    samples = noise(3200).numpy()
    bins = window // 2
    level = spectrogram(window=window, hop=hop, bins=bins).level(torch.from_numpy(samples)[None])
    expected = np.log(power(samples, window, hop) + POWER_FLOOR)[:bins]
    assert level.shape == (1, bins, 3200 // hop)
    np.testing.assert_allclose(level[0].numpy(), expected, rtol=0, atol=2e-3)


def test_logmel_sums_power_in_triangles_on_the_htk_scale():
    samples = noise(3200).numpy()
    corners = hertz(np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), KINDS["logmel"] + 2))
    filters = triangles(corners, WINDOW // 2 + 1)
    expected = np.log(filters.T @ power(samples, WINDOW, HOP) + POWER_FLOOR)
    level = spectrogram("logmel").level(torch.from_numpy(samples)[None])
    np.testing.assert_allclose(level[0].numpy(), expected, rtol=0, atol=2e-3)


def test_mel_is_the_power_in_triangles_of_equal_area_in_one_channel():
    samples = torch.stack((noise(3200), noise(3200, scale=0.01)))
    corners = hertz(np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), 42))
    filters = triangles(corners, WINDOW // 2 + 1) * (2 / (corners[2:] - corners[:-2]))
    expected = np.stack([filters.T @ power(each.numpy(), WINDOW, HOP) for each in samples])
    features = spectrogram("mel", bins=40)
    features.fit([samples])
    # one mean and one deviation for all bands
    expected = (expected - expected.mean()) / expected.std(ddof=1)
    result = features(samples)
    assert result.shape == (2, 1, 40, 20)
    np.testing.assert_allclose(result[:, 0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("bins", [20, 150])
def test_lfcc_is_the_cosine_transform_of_log_energies_in_linear_triangles(bins):
    samples = noise(3200).numpy()
    count = max(bins, 128)
    filters = triangles(np.linspace(0, RATE / 2, count + 2), WINDOW // 2 + 1)
    energies = np.log(filters.T @ power(samples, WINDOW, HOP) + POWER_FLOOR)
    expected = scipy.fft.dct(energies, axis=0, norm="ortho")[:bins]
    level = spectrogram("lfcc", bins=bins).level(torch.from_numpy(samples)[None])
    np.testing.assert_allclose(level[0].numpy(), expected, rtol=0, atol=1e-2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frames", [1, 3, 50])
def test_as_many_windows_as_hops(kind, frames):
    features = spectrogram(kind)
    seen = features(noise(2, frames * 320))
    assert seen.shape == (2, features.channels, features.bins, 2 * frames)
    assert seen.isfinite().all()


@pytest.mark.parametrize(("rate", "hop", "windows"), [(16_000, 160, 2), (8_000, 40, 4)])
def test_a_frame_is_a_whole_number_of_windows(rate, hop, windows):
    features = Spectrogram("logstft", rate, 256, hop, 32)
    assert features.windows(FrameGrid()) == windows
    assert features(noise(1, 5 * FrameGrid().samples(rate))).shape[-1] == 5 * windows


@settings(deadline=None, max_examples=30)
@given(place=st.integers(0, 6399), kind=st.sampled_from(["logstft", "logmel"]))
def test_a_click_is_loudest_in_the_window_of_its_hop_and_nowhere_far(place, kind):
    samples = torch.zeros(1, 6400)
    samples[0, place] = 1
    loudness = spectrogram(kind).level(samples)[0].mean(0)
    centres = torch.arange(40) * HOP + HOP / 2
    distance = (centres - place).abs()
    # on the border of two hops both are as loud
    assert loudness[place // HOP] >= loudness.max() - 1e-2
    silence = spectrogram(kind).level(torch.zeros(1, HOP)).mean()
    assert (loudness[distance >= WINDOW / 2] - silence).abs().max() < 1e-5


def test_silence_is_the_floor():
    level = spectrogram().level(torch.zeros(1, 640))
    torch.testing.assert_close(level, torch.full_like(level, float(np.log(POWER_FLOOR))))


@pytest.mark.parametrize("kind", KINDS)
def test_fit_brings_the_training_set_to_zero_mean_bin_by_bin_and_unit_deviation(kind):
    features = spectrogram(kind)
    batches = [noise(3, 3200, seed=1), noise(2, 3200, seed=2, scale=0.01)]
    features.fit(iter(batches))
    own = torch.cat([features(batch)[:, 0] for batch in batches])
    torch.testing.assert_close(own.mean((0, 2)), torch.zeros(features.bins), rtol=0, atol=1e-4)
    assert own.std().item() == pytest.approx(1, abs=1e-4)


def test_the_first_channel_undoes_to_the_level():
    features = spectrogram()
    features.fit([noise(2, 3200)])
    other = noise(2, 1600, seed=3)
    undone = features(other)[:, 0] * features.deviation + features.mean[:, None]
    torch.testing.assert_close(undone, features.level(other), rtol=0, atol=1e-4)


def test_silence_alone_can_be_fitted():
    features = spectrogram()
    features.fit([torch.zeros(2, 3200)])
    assert features(torch.zeros(1, 3200)).abs().max() < 1e-3
    assert features(noise(1, 3200)).isfinite().all()


def test_only_the_first_channel_depends_on_the_recording_level():
    features = spectrogram()
    features.fit([noise(2, 3200, scale=1)])
    samples = noise(1, 3200, scale=10)
    quiet, loud = features(samples), features(10 * samples)
    assert (loud[:, 0] - quiet[:, 0]).min() > 1
    torch.testing.assert_close(loud[:, 1:], quiet[:, 1:], rtol=0, atol=1e-2)


def test_clips_of_a_batch_do_not_mix():
    features = spectrogram()
    batch = noise(3, 1600)
    alone = torch.cat([features(clip[None]) for clip in batch])
    torch.testing.assert_close(features(batch), alone, rtol=0, atol=1e-4)


def test_statistics_travel_with_the_weights():
    fitted, fresh = spectrogram(), spectrogram()
    fitted.fit([noise(2, 3200)])
    assert {"mean", "deviation"} <= set(fitted.state_dict())
    fresh.load_state_dict(fitted.state_dict())
    assert torch.equal(fresh(noise(1, 640)), fitted(noise(1, 640)))


def test_lower_precision_around_does_not_touch_the_level():
    features, samples = spectrogram("lfcc"), noise(1, 1600)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = features.level(samples)
    assert torch.equal(inside, features.level(samples))


def test_nothing_is_kept_for_gradients():
    samples = noise(1, 640).requires_grad_()
    assert not spectrogram()(samples).requires_grad


BROKEN = """
import sys

class Broken:
    tried = 0

    def find_spec(self, name, path=None, target=None):
        if name == "torchaudio._extension":
            Broken.tried += 1
            raise OSError("libcudart.so.13: cannot open shared object file")

sys.meta_path.insert(0, Broken())
import torch
from fakesound.models.features import Spectrogram, torchaudio

assert Broken.tried == 1
assert torchaudio is sys.modules["torchaudio"]
for kind in ("logstft", "logmel", "lfcc"):
    print(Spectrogram(kind, 16000, 512, 160, 32)(torch.ones(1, 320)).shape[2:])
"""


def test_torchaudio_is_used_without_its_compiled_extension_where_that_fails():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", BROKEN],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["torch.Size([32, 2])"] * 3


def with_phase(**options):
    return Spectrogram("logstft", RATE, WINDOW, HOP, 256, phase=True, **options)


def test_phase_is_that_of_products_of_neighbouring_points():
    samples = noise(4800, seed=3)
    seen = with_phase(floor=1e-7)(samples[None])[0]
    left = (WINDOW - HOP) // 2
    padded = np.pad(samples.numpy().astype(np.float64), (left, WINDOW - HOP - left))
    shape = scipy.signal.get_window("hann", WINDOW)
    starts = range(0, 4800, HOP)
    points = np.stack([np.fft.rfft(padded[s : s + WINDOW] * shape)[:256] for s in starts], 1)
    across = points[:, 1:] * points[:, :-1].conj()
    turns = np.exp(-2j * np.pi * np.arange(256) * HOP / WINDOW)[:, None]
    expected = np.exp(1j * np.angle(across * turns))
    # of points that are not faint
    loud = np.abs(across) > 1e-3
    assert loud.mean() > 0.9
    np.testing.assert_allclose(seen[3, :, 1:].numpy()[loud], expected.real[loud], atol=2e-3)
    np.testing.assert_allclose(seen[4, :, 1:].numpy()[loud], expected.imag[loud], atol=2e-3)
    below = -points[1:] * points[:-1].conj()
    loud = np.abs(below) > 1e-3
    expected = np.cos(np.angle(below))
    np.testing.assert_allclose(seen[5, 1:].numpy()[loud], expected[loud], atol=2e-3)
    # nothing before the first window, and nothing below the lowest bin
    assert not seen[3:5, :, 0].any()
    assert not seen[5, 0].any()


def test_the_phase_of_a_sinusoid_in_the_middle_of_a_bin_does_not_deviate():
    time = torch.arange(16_000, dtype=torch.float64) / RATE
    samples = (0.3 * torch.sin(2 * torch.pi * 40 * RATE / WINDOW * time)).float()
    seen = with_phase(floor=1e-7)(samples[None])[0]
    torch.testing.assert_close(seen[3, 40, 3:-3], torch.ones(94), atol=1e-3, rtol=0)
    torch.testing.assert_close(seen[4, 40, 3:-3], torch.zeros(94), atol=1e-3, rtol=0)


def test_with_a_level_neither_gain_nor_polarity_nor_silence_around_counts():
    features = with_phase(level=-26.0, floor=1e-7, spread=True)
    samples = noise(1, 3200, seed=5)
    seen = features(samples)
    torch.testing.assert_close(features(-0.02 * samples), seen, atol=2e-3, rtol=0)
    longer = features(torch.nn.functional.pad(samples, (0, 1600)))
    # the last windows look into what follows
    torch.testing.assert_close(longer[..., :18], seen[..., :18], atol=0.1, rtol=0)
    assert not longer[..., 20:].any()


def test_statistics_leave_digital_silence_out():
    features = with_phase(level=-26.0)
    plain, padded = with_phase(level=-26.0), noise(4, 6400)
    plain.fit([padded])
    features.fit([torch.nn.functional.pad(padded, (0, 6400))])
    torch.testing.assert_close(features.mean, plain.mean, atol=0.2, rtol=0)


def test_spread_brings_every_bin_to_one_deviation():
    own = with_phase(spread=True)(noise(2, 16_000))[:, 1]
    torch.testing.assert_close(own.std(-1, correction=0), torch.ones(2, 256), atol=1e-3, rtol=0)


def test_only_linear_frequency_has_phase():
    with pytest.raises(ValueError, match="logmel"):
        Spectrogram("logmel", RATE, WINDOW, HOP, 40, phase=True)
