"""The verb: ``fakesound export``."""

import json
from functools import partial

import numpy as np
import pytest
import safetensors.torch
import torch

from fakesound import export
from fakesound.data.audio import read_audio
from fakesound.data.manifest import read_manifest
from fakesound.exporting import DifferenceError
from fakesound.inference.model import open_session
from fakesound.scoring.checkpoint import read_checkpoint


@pytest.fixture
def run(run_verb):
    """Run the verb in this process; return the exit code and the output."""
    return partial(run_verb, "export")


def test_a_run_becomes_an_onnx_file_that_scores_like_it(run, finished, tmp_path):
    out = tmp_path / "new" / "model.onnx"
    code, stdout, stderr = run(finished, "--to", "onnx", "--out", out)
    assert code == 0, stderr
    assert stdout == f"{out}\n"
    assert "largest difference" in stderr
    assert "arning" not in stderr
    assert [file.name for file in out.parent.iterdir()] == [out.name]

    session = open_session(out.read_bytes())
    rows = [json.loads(line) for line in (finished / "scores.jsonl").read_text().splitlines()]
    clips = {clip.clip_id: clip for clip in read_manifest(finished / "manifest.jsonl")}
    assert len(rows) > 4
    for row in rows:
        audio = read_audio(clips[row["clip_id"]].location, 16_000)
        score, logit, frames = session.run(None, {"waveform": audio})
        assert float(score) == pytest.approx(row["score"], abs=1e-5)
        assert float(logit) == pytest.approx(row["logit"], abs=1e-4)
        np.testing.assert_allclose(frames, row["frame_scores"], atol=1e-5)
    metadata = session.get_modelmeta().custom_metadata_map
    thresholds = json.loads((finished / "metrics.json").read_text())["thresholds"]
    assert float(metadata["clip_threshold"]) == thresholds["clip"]
    assert float(metadata["frame_threshold"]) == thresholds["frame"]
    assert metadata["sample_rate"] == "16000"
    assert float(metadata["frame_step"]) == 0.02
    assert json.loads(metadata["config"])["backbone"]["dim"] == 32


def test_a_run_becomes_safetensors_in_its_folder(run, finished, tmp_path):
    code, stdout, stderr = run(finished, "--to", "safetensors")
    assert code == 0, stderr
    out = finished / "detector.safetensors"
    assert stdout == f"{out}\n"
    # and that file is exported like a run
    again = tmp_path / "again.safetensors"
    assert run(out, "--to", "safetensors", "--out", again)[:2] == (0, f"{again}\n")
    tensors = safetensors.torch.load_file(out)
    for name, tensor in safetensors.torch.load_file(again).items():
        assert torch.equal(tensor, tensors.pop(name))
    assert not tensors
    code, _, stderr = run(out, "--to", "safetensors")
    assert code == 2
    assert "is the input" in stderr


def test_a_file_that_differs_is_not_written(run, finished, tmp_path, monkeypatch):
    def differ(*_):
        raise DifferenceError("scores of the ONNX file are up to 1.0 from those of the detector")

    monkeypatch.setattr("fakesound.exporting.onnx_bytes", lambda *_: b"")
    monkeypatch.setattr("fakesound.exporting.largest_difference", differ)
    out = tmp_path / "model.onnx"
    code, stdout, _ = run(finished, "--to", "onnx", "--out", out)
    # a text as the exit status is printed, and the status is 1
    assert str(code).startswith("error: scores of the ONNX file")
    assert stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_missing_thresholds_are_reported(run, finished, tmp_path):
    last = finished / "checkpoints" / "last.ckpt"
    out = tmp_path / "a.safetensors"
    code, _, stderr = run(last, "--to", "safetensors", "--out", out)
    assert code == 0
    assert "no thresholds" in stderr


def test_missing_packages_are_named_with_the_fix(run, tmp_path, monkeypatch):
    monkeypatch.setitem(export.NEEDED, "onnx", ("onnx", "nosuchpackage"))
    code, _, stderr = run(tmp_path, "--to", "onnx")
    assert code == 2
    assert stderr == "error: --to=onnx: needs nosuchpackage; pip install 'fakesound[export]'\n"


def test_wrong_paths_are_refused(run, tmp_path):
    file = tmp_path / "file"
    file.write_text("text")
    for arguments, words in (
        ((tmp_path / "lost", "--to", "onnx"), "no such file or folder"),
        ((tmp_path, "--to", "onnx"), "holds no checkpoints"),
        ((file, "--to", "onnx", "--out", tmp_path), "is a folder"),
        ((file, "--to", "onnx", "--out", file / "a.onnx"), "cannot be written"),
        ((file, "--to", "safetensors"), "is not a checkpoint"),
    ):
        code, stdout, stderr = run(*arguments)
        assert code == 2
        assert words in stderr
        assert stderr.count("\n") == 1
        assert stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_help_explains_the_options(run):
    code, stdout, _ = run("--help")
    assert code == 0
    for words in ("RUN", "--to", "--out", "InferenceSession", "load_detector"):
        assert words in stdout


def test_runs_are_averaged_into_one_file(run, finished, tmp_path):
    out = tmp_path / "mean.safetensors"
    code, stdout, stderr = run(finished, "--average", finished, "--to", "safetensors", "--out", out)
    assert (code, stdout) == (0, f"{out}\n"), stderr
    assert read_checkpoint(out).thresholds == pytest.approx(
        read_checkpoint(finished).thresholds, abs=1e-5
    )
    code, _, stderr = run(finished, "--average", finished, "--to", "onnx", "--out", out)
    assert code == 2
    assert "--to=onnx" in stderr
