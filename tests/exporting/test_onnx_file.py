"""ONNX files in onnxruntime have the scores of a test."""

import warnings

import numpy as np
import onnx
import pytest

from fakesound.data.audio import read_audio
from fakesound.data.samples import to_channels
from fakesound.errors import InputError
from fakesound.evaluation.scorer import score_clips
from fakesound.exporting import DifferenceError, WaveformScorer, largest_difference, onnx_bytes
from fakesound.exporting.check import clips_of
from fakesound.inference.model import open_session
from fakesound.scoring.calibration import IDENTITY, Calibrator
from tests.exporting.conftest import ALL, CONV, ORIGINAL, OVERLAPPING, PATCH, RATE, small_detector

METADATA = {"sample_rate": "16000", "frame_step": "0.02", "clip_threshold": "0.25"}
# in samples: shorter than a frame and a window, one window, a little more, many
LENGTHS = (1, 1600, 7680, 7681, 11_521, 53_920)
LONG = (160_000, 976_000)


ISOTONIC = Calibrator("isotonic", knots=((-4.0, -3.0), (-1.0, -1.0), (0.5, 0.2), (4.0, 2.5)))
LOGISTIC = Calibrator("logistic", 0.5, -0.7)


def scored(detector, clips, seconds):
    return score_clips(detector, clips, RATE, seconds)[0]


@pytest.fixture(
    scope="module",
    params=[
        (CONV, ISOTONIC),
        (PATCH, LOGISTIC),
        (OVERLAPPING, IDENTITY),
        (ALL, IDENTITY),
        (ORIGINAL, IDENTITY),
    ],
    ids=["conv", "patch", "overlap", "all", "original"],
)
def exported(request):
    overrides, calibrator = request.param
    config, detector = small_detector(*overrides)
    scorer = WaveformScorer(detector, RATE, config.data.window_seconds, calibrator)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return config, detector, calibrator, onnx_bytes(scorer, METADATA)


def test_scores_of_any_length_are_those_of_a_test(exported, tmp_path):
    config, detector, calibrator, held = exported
    session = open_session(held)
    rng = np.random.default_rng(0)
    # once is enough for those that take long
    lengths = LENGTHS + LONG * (calibrator is ISOTONIC)
    clips = clips_of([rng.normal(0, 0.1, length) for length in lengths], RATE, tmp_path)
    expected = calibrator.apply(scored(detector, clips, config.data.window_seconds))
    for clip, wanted in zip(clips, expected, strict=True):
        score, logit, frames = session.run(None, {"waveform": read_audio(clip.location, RATE)})
        assert float(score) == pytest.approx(wanted.score, abs=1e-5)
        assert float(logit) == pytest.approx(wanted.logit, abs=1e-4)
        assert frames.shape == wanted.frame_scores.shape
        np.testing.assert_allclose(frames, wanted.frame_scores, atol=1e-5)


def test_the_file_is_small_valid_and_described(exported):
    config, _, _, held = exported
    model = onnx.load_from_string(held)
    onnx.checker.check_model(model, full_check=True)
    operators = [node.op_type for node in model.graph.node]
    blocks = config.backbone.depth + config.heads.neck_depth * (config.heads.neck == "mamba")
    assert operators.count("Scan") == blocks
    assert len(operators) < 150 + 120 * blocks
    assert not model.functions
    assert {p.key: p.value for p in model.metadata_props} == METADATA
    assert [v.name for v in model.graph.input] == ["waveform"]
    assert [v.name for v in model.graph.output] == ["score", "logit", "frame_scores"]
    assert "16000" in model.doc_string
    # nothing of the machine that made it
    assert b".py" not in held


def test_a_difference_is_found(exported):
    config, detector, calibrator, held = exported
    seconds = config.data.window_seconds
    assert largest_difference(held, detector, RATE, seconds, calibrator) < 1e-5
    stranger = small_detector("seed=1", *(CONV if detector.clip_head else OVERLAPPING))[1]
    others = [(stranger, calibrator)]
    # nor is a calibration taken for another
    others += [(detector, IDENTITY)] * (calibrator != IDENTITY)
    for other in others:
        with pytest.raises(DifferenceError, match="not written"):
            largest_difference(held, other[0], RATE, seconds, other[1])


def test_input_that_the_detector_refuses_is_refused(exported):
    _, _, _, held = exported
    session = open_session(held)
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, 9_000).astype(np.float32)
    limit = np.append(sound, np.float32(1.04))
    score, _, _ = session.run(None, {"waveform": limit})
    clipped, _, _ = session.run(None, {"waveform": np.clip(limit, -1, 1)})
    assert score == clipped
    for value in (np.nan, np.inf, 1.2, -32768):
        wrong = np.append(sound, np.float32(value))
        with pytest.raises(InputError):
            to_channels(wrong)
        with pytest.raises(Exception, match="waveform must hold one sample"):
            session.run(None, {"waveform": wrong})
    with pytest.raises(Exception, match="waveform must hold one sample"):
        session.run(None, {"waveform": sound[:0]})


def test_loud_quiet_and_clipped_audio_scores_as_in_a_test(exported, tmp_path):
    config, detector, calibrator, held = exported
    session = open_session(held)
    rng = np.random.default_rng(0)
    sounds = [(gain * rng.normal(0, 1, 9_000)).clip(-1, 1) for gain in (1, 1e-3, 1e-5)]
    clips = clips_of([*sounds, np.zeros(9_000)], RATE, tmp_path)
    expected = calibrator.apply(scored(detector, clips, config.data.window_seconds))
    for clip, wanted in zip(clips, expected, strict=True):
        score, _, frames = session.run(None, {"waveform": read_audio(clip.location, RATE)})
        assert float(score) == pytest.approx(wanted.score, abs=1e-5)
        np.testing.assert_allclose(frames, wanted.frame_scores, atol=1e-5)
