"""The module that scores waveforms has the scores of a test."""

import numpy as np
import pytest
import torch

from fakesound.data.audio import read_audio
from fakesound.evaluation.scorer import score_clips
from fakesound.exporting import WaveformScorer
from fakesound.exporting.check import clips_of
from fakesound.exporting.scorer import Calibration, ConvolvedSpectrum, unfolded
from fakesound.models.build import GRID
from fakesound.models.stem import fold
from fakesound.scoring.calibration import IDENTITY, Calibrator
from tests.exporting.conftest import (
    ALL,
    CONV,
    ORIGINAL,
    OVERLAPPING,
    PATCH,
    RATE,
    TWO_WAY,
    small_detector,
)

LOGISTIC = Calibrator("logistic", 0.3, -1.7)
ISOTONIC = Calibrator("isotonic", knots=((-3.0, -4.0), (-1.0, -1.0), (-0.5, -1.0), (4.0, 2.5)))
STEEP = Calibrator("isotonic", knots=((0.0, -1.0), (0.5, 0.0), (0.5 + 1e-9, 3.0)))
WINDOW = 7680
LENGTHS = (
    1, 2, 319, 320, 321, 1281, 1600, WINDOW - 1, WINDOW, WINDOW + 1, WINDOW + 320, WINDOW + 3840,
    WINDOW + 3841, 2 * WINDOW, 53_920, 160_000,
)  # fmt: skip


def scored(detector, clips, seconds):
    return score_clips(detector, clips, RATE, seconds)[0]


@pytest.mark.parametrize(
    "overrides",
    [
        CONV,
        PATCH,
        OVERLAPPING,
        TWO_WAY,
        ORIGINAL,
        ("backbone.variant=v1",),
        ALL,
        ("heads.pooling=max",),
        (*PATCH, "heads.pooling=mean"),
    ],
)
def test_scores_are_those_of_a_test(overrides, tmp_path):
    config, detector = small_detector(*overrides)
    seconds = config.data.window_seconds
    assert GRID.count(seconds) * 320 == WINDOW
    rng = np.random.default_rng(0)
    sounds = [rng.normal(0, 0.1, length) for length in LENGTHS]
    clips = clips_of(sounds, RATE, tmp_path)
    expected = scored(detector, clips, seconds)
    scorer = WaveformScorer(detector, RATE, seconds)
    for clip, wanted in zip(clips, expected, strict=True):
        with torch.no_grad():
            found = scorer(torch.from_numpy(read_audio(clip.location, RATE)))
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
    scorer = WaveformScorer(detector, RATE, config.data.window_seconds)
    found = scorer(torch.zeros(5000))
    assert float(found.logit) == 30
    assert float(found.frame_scores.max()) == pytest.approx(1 / (1 + np.exp(-30.0)))


@pytest.mark.parametrize("calibrator", [LOGISTIC, ISOTONIC], ids=lambda one: one.method)
def test_scores_of_the_clip_are_calibrated_and_no_others(calibrator, tmp_path):
    config, detector = small_detector(*CONV)
    seconds = config.data.window_seconds
    rng = np.random.default_rng(0)
    clips = clips_of([rng.normal(0, 0.1, length) for length in (1600, 11_521)], RATE, tmp_path)
    raw = scored(detector, clips, seconds)
    scorer = WaveformScorer(detector, RATE, seconds, calibrator)
    for clip, wanted, before in zip(clips, calibrator.apply(raw), raw, strict=True):
        with torch.no_grad():
            found = scorer(torch.from_numpy(read_audio(clip.location, RATE)))
        assert float(found.score) == pytest.approx(wanted.score, abs=1e-5)
        assert float(found.logit) == pytest.approx(wanted.logit, abs=1e-4)
        assert abs(wanted.logit - before.logit) > 0.1
        np.testing.assert_allclose(found.frame_scores, wanted.frame_scores, atol=1e-5)


@pytest.mark.parametrize(
    "calibrator", [IDENTITY, LOGISTIC, ISOTONIC, Calibrator("isotonic", knots=((1.0, 2.0),))]
)
def test_calibration_is_that_of_the_calibrator(calibrator):
    logits = np.linspace(-30, 30, 481)
    calibration = Calibration(calibrator)
    found = [float(calibration(torch.tensor(logit, dtype=torch.float32))) for logit in logits]
    np.testing.assert_allclose(found, calibrator.calibrate(logits), atol=1e-5)


def test_knots_equal_in_single_precision_are_a_step():
    calibration = Calibration(STEEP)
    found = [float(calibration(torch.tensor(logit))) for logit in (-1.0, 0.25, 0.5, 0.51, 9.0)]
    assert found == pytest.approx([-1, -0.5, 0, 3, 3], abs=1e-5)


def test_the_detector_is_not_changed():
    config, detector = small_detector()
    spectrum = detector.features.spectrum
    detector.train()
    WaveformScorer(detector, RATE, config.data.window_seconds)
    assert detector.features.spectrum is spectrum
    assert detector.training
    assert all(parameter.requires_grad for parameter in detector.parameters())


def test_further_heads_are_not_exported_and_stay_with_the_detector():
    config, detector = small_detector(*ALL)
    scorer = WaveformScorer(detector, RATE, config.data.window_seconds)
    assert not [n for n, _ in scorer.named_parameters() if "boundary" in n or "attribution" in n]
    assert detector.boundary_head is not None
    assert detector.attribution_head is not None


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
    real, imaginary = ConvolvedSpectrum(window, hop)(waveform)
    torch.testing.assert_close(real, spectrum.real, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(imaginary, spectrum.imag, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("windows", [1, 2, 3])
def test_a_convolution_of_the_spectrogram_is_that_of_folded_channels(windows):
    convolution = torch.nn.Conv2d(3 * 2 * windows, 5, 3, padding=1, bias=False)
    spectrogram = torch.randn(2, 3, 16, 7 * windows, generator=torch.Generator().manual_seed(0))
    expected = convolution(fold(spectrogram, windows))
    torch.testing.assert_close(unfolded(convolution, windows)(spectrogram), expected)
