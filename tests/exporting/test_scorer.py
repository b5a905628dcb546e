"""The module that scores waveforms against the way a test scores clips."""

import numpy as np
import pytest
import torch

from fakesound.build import GRID
from fakesound.data.audio import read_audio
from fakesound.data.dataset import WindowDataset
from fakesound.exporting import WaveformScorer
from fakesound.exporting.check import clips_of, detector_scores
from fakesound.exporting.scorer import PowerSpectrum
from tests.exporting.conftest import CONV, OVERLAPPING, PATCH, RATE, small_detector

WINDOW = 7680
LENGTHS = (
    1, 2, 319, 320, 321, 1281, 1600, WINDOW - 1, WINDOW, WINDOW + 1, WINDOW + 320, WINDOW + 3840,
    WINDOW + 3841, 2 * WINDOW, 53_920, 160_000,
)  # fmt: skip


@pytest.mark.parametrize("overrides", [CONV, PATCH, OVERLAPPING, ("backbone.variant=v1",)])
def test_scores_are_those_of_a_test(overrides, tmp_path):
    config, detector = small_detector(*overrides)
    seconds = config.data.crop.seconds
    assert GRID.count(seconds) * 320 == WINDOW
    rng = np.random.default_rng(0)
    sounds = [rng.normal(0, 0.1, length) for length in LENGTHS]
    clips = clips_of(sounds, RATE, tmp_path)
    expected = detector_scores(detector, WindowDataset(clips, GRID, RATE, seconds))
    scorer = WaveformScorer(detector, GRID, RATE, seconds)
    for clip, wanted in zip(clips, expected, strict=True):
        with torch.no_grad():
            found = scorer(torch.from_numpy(read_audio(clip.path, RATE)))
        assert float(found.score) == pytest.approx(wanted.score, abs=1e-5)
        assert float(found.logit) == pytest.approx(wanted.logit, abs=1e-4)
        assert found.frame_scores.shape == wanted.frame_scores.shape
        np.testing.assert_allclose(found.frame_scores, wanted.frame_scores, atol=1e-5)
    # else anything would do
    assert np.ptp([score.logit for score in expected]) > 0.5


def test_logits_are_bounded_as_in_a_test(tmp_path):
    config, detector = small_detector()
    with torch.no_grad():
        detector.frame_head.proj.bias += 1e4
    scorer = WaveformScorer(detector, GRID, RATE, config.data.crop.seconds)
    found = scorer(torch.zeros(5000))
    assert float(found.logit) == 30
    assert float(found.frame_scores.max()) == pytest.approx(1 / (1 + np.exp(-30.0)))


def test_the_detector_is_left_as_it_is():
    config, detector = small_detector()
    spectrum = detector.features.spectrum
    detector.train()
    WaveformScorer(detector, GRID, RATE, config.data.crop.seconds)
    assert detector.features.spectrum is spectrum
    assert detector.training
    assert all(parameter.requires_grad for parameter in detector.parameters())


@pytest.mark.parametrize(("window", "hop"), [(512, 160), (320, 160), (1024, 80), (401, 40)])
def test_the_spectrum_is_that_of_the_features(window, hop):
    waveform = torch.randn(2, 3000, generator=torch.Generator().manual_seed(0))
    spectrum = torch.stft(
        waveform,
        window,
        hop,
        window=torch.hann_window(window),
        center=False,
        return_complex=True,
    )
    found = PowerSpectrum(window, hop)(waveform)
    torch.testing.assert_close(found, spectrum.abs().square(), atol=1e-4, rtol=1e-4)
