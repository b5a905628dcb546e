"""ONNX files of windows against the detector that they were exported from."""

import hashlib

import numpy as np
import onnx
import pytest

from fakesound.errors import InputError
from fakesound.exporting import (
    DifferenceError,
    WindowScorer,
    largest_window_difference,
    onnx_bytes,
    window_onnx_bytes,
)
from fakesound.exporting.scorer import WaveformScorer
from fakesound.inference import Detector
from fakesound.inference.model import onnx_model, read_model
from fakesound.scoring.calibration import Calibrator
from fakesound.scoring.checkpoint import Checkpoint, write_safetensors
from fakesound.scoring.clip_score import HeadCalibration
from tests.exporting.conftest import FAMILIES, RATE, TWO_WAY, small_detector

HEADS = (*TWO_WAY, "heads.attribution=true", "heads.boundary=true")


def written(folder, *overrides):
    """Return a small detector and the checkpoint of it in ``folder``."""
    config, detector = small_detector(*overrides)
    path = folder / "small.safetensors"
    checkpoint = Checkpoint(
        path=path,
        config=config,
        weights=detector.state_dict(),
        thresholds={"clip": 0.4, "frame": 0.3},
        calibrator=Calibrator("logistic", 0.5, 0.1),
        attacks=("codec/x",),
        heads=HeadCalibration(FAMILIES, {"energy": -1.0}),
    )
    write_safetensors(path, checkpoint)
    return detector, checkpoint


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("windows")
    detector, checkpoint = written(folder, *HEADS)
    scorer = WindowScorer(detector, RATE, checkpoint.config.data.window_seconds)
    content = window_onnx_bytes(scorer, checkpoint.metadata())
    (folder / "small.onnx").write_bytes(content)
    return checkpoint, scorer, folder / "small.onnx"


def test_detections_are_those_of_the_detector(exported):
    checkpoint, _, path = exported
    ours, theirs = Detector.from_checkpoint(path), Detector.from_checkpoint(checkpoint.path)
    assert (ours.model.backend, theirs.model.backend) == ("onnx", "torch")
    rng = np.random.default_rng(0)
    scores = []
    for level, samples in ((0.1, 1), (0.1, 5_000), (0.03, 7_681), (0.2, 400_000)):
        sound = rng.normal(0, level, samples).clip(-1, 1).astype(np.float32)
        result, wanted = ours.detect(sound, RATE), theirs.detect(sound, RATE)
        assert result.score == pytest.approx(wanted.score, abs=1e-4)
        np.testing.assert_allclose(result.frame_scores, wanted.frame_scores, atol=1e-4)
        assert (result.verdict, result.kind) == (wanted.verdict, wanted.kind)
        assert result.attack_family == wanted.attack_family
        scores.append(result.score)
    assert np.ptp(scores) > 0.01
    assert largest_window_difference(path.read_bytes(), checkpoint.path) < 1e-4


def test_the_file_is_valid_and_names_its_outputs(exported):
    _, scorer, path = exported
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["windows"]
    assert [value.name for value in model.graph.output] == list(scorer.outputs)
    shape = model.graph.output[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in shape] == ["window", 24]
    assert {"whole_evidence", "boundary_logits", "family_logits"} <= set(scorer.outputs)
    assert b".py" not in path.read_bytes()
    # filters of the spectrum are not stored
    assert max(len(tensor.raw_data) for tensor in model.graph.initializer) < 100_000
    assert read_model(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_difference_is_found(exported, tmp_path):
    _, _, path = exported
    _, other = written(tmp_path, *HEADS, "seed=1")
    with pytest.raises(DifferenceError):
        largest_window_difference(path.read_bytes(), other.path)


def test_other_files_are_refused(exported, tmp_path):
    checkpoint, _, path = exported
    detector = checkpoint.detector()
    scorer = WaveformScorer(detector, RATE, checkpoint.config.data.window_seconds)
    whole = onnx_bytes(scorer, checkpoint.metadata())
    foreign = onnx.load_from_string(whole)
    del foreign.metadata_props[:]
    onnx.helper.set_model_props(foreign, {"sample_rate": "1", "frame_step": "1"})
    cases = {
        "whole.onnx": (whole, "onnx-windows"),
        "damaged.onnx": (path.read_bytes()[:5_000], "damaged"),
        "foreign.onnx": (foreign.SerializeToString(), "fakesound"),
    }
    for name, (content, words) in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=words) as caught:
            read_model(tmp_path / name)
        assert name in str(caught.value)
    with pytest.raises(InputError, match=r"lost.onnx"):
        read_model(tmp_path / "lost.onnx")


def test_backend_and_device_have_to_fit_the_file(exported):
    checkpoint, _, path = exported
    for file, backend, device, key in (
        (path, "torch", "auto", "backend=torch"),
        (path, "onnx", "cuda", "device=cuda"),
        (checkpoint.path, "onnx", "auto", "backend=onnx"),
        (path, "tensorrt", "auto", "backend=tensorrt"),
    ):
        with pytest.raises(InputError, match=key):
            read_model(file, backend, device)
    assert onnx_model(path.read_bytes(), path, "mine").name == "mine"
