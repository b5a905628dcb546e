"""The verb: ``python -m fakesound.export``."""

import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import safetensors.torch
import torch

from fakesound import export
from fakesound.data.audio import read_audio
from fakesound.data.manifest import read_manifest
from fakesound.exporting import DifferenceError
from fakesound.exporting.check import open_session
from fakesound.scoring.checkpoint import read_checkpoint


@pytest.fixture
def run(run_verb):
    """Run the verb in this process; return the exit code and what it printed."""
    return partial(run_verb, "export")


def test_a_run_becomes_an_onnx_file_that_scores_like_it(run, finished, tmp_path):
    out = tmp_path / "new" / "model.onnx"
    code, printed, told = run(finished, "--to", "onnx", "--out", out)
    assert code == 0, told
    assert printed == f"{out}\n"
    assert "largest difference" in told
    assert "arning" not in told
    assert [file.name for file in out.parent.iterdir()] == [out.name]

    session = open_session(out)
    rows = [json.loads(line) for line in (finished / "scores.jsonl").read_text().splitlines()]
    clips = {clip.clip_id: clip for clip in read_manifest(finished / "manifest.jsonl")}
    assert len(rows) > 4
    for row in rows:
        audio = read_audio(clips[row["clip_id"]].location, 16_000)
        score, logit, frames = session.run(None, {"waveform": audio})
        assert float(score) == pytest.approx(row["score"], abs=1e-5)
        assert float(logit) == pytest.approx(row["logit"], abs=1e-4)
        np.testing.assert_allclose(frames, row["frame_scores"], atol=1e-5)
    said = session.get_modelmeta().custom_metadata_map
    thresholds = json.loads((finished / "metrics.json").read_text())["thresholds"]
    assert float(said["clip_threshold"]) == thresholds["clip"]
    assert float(said["frame_threshold"]) == thresholds["frame"]
    assert said["sample_rate"] == "16000"
    assert float(said["frame_step"]) == 0.02
    assert json.loads(said["config"])["backbone"]["dim"] == 32


def test_a_run_becomes_safetensors_in_its_folder(run, finished, tmp_path):
    code, printed, told = run(finished, "--to", "safetensors")
    assert code == 0, told
    out = finished / "detector.safetensors"
    assert printed == f"{out}\n"
    # and that file is exported like a run
    again = tmp_path / "again.safetensors"
    assert run(out, "--to", "safetensors", "--out", again)[:2] == (0, f"{again}\n")
    tensors = safetensors.torch.load_file(out)
    for name, tensor in safetensors.torch.load_file(again).items():
        assert torch.equal(tensor, tensors.pop(name))
    assert not tensors
    code, _, told = run(out, "--to", "safetensors")
    assert code == 2
    assert "is the input" in told


def test_a_file_that_differs_is_not_written(run, finished, tmp_path, monkeypatch):
    def differ(*_):
        raise DifferenceError("scores of the ONNX file are up to 1.0 from those of the detector")

    monkeypatch.setattr("fakesound.exporting.onnx_bytes", lambda *_: b"")
    monkeypatch.setattr("fakesound.exporting.largest_difference", differ)
    out = tmp_path / "model.onnx"
    code, printed, _ = run(finished, "--to", "onnx", "--out", out)
    # a text as the exit status is printed, and the status is 1
    assert str(code).startswith("error: scores of the ONNX file")
    assert printed == ""
    assert list(tmp_path.iterdir()) == []


def test_without_thresholds_it_says_so(run, finished, tmp_path):
    last = finished / "checkpoints" / "last.ckpt"
    out = tmp_path / "a.safetensors"
    code, _, told = run(last, "--to", "safetensors", "--out", out)
    assert code == 0
    assert "no thresholds" in told


def test_missing_packages_are_named_with_the_mend(run, tmp_path, monkeypatch):
    monkeypatch.setitem(export.NEEDED, "onnx", ("onnx", "nosuchpackage"))
    code, _, told = run(tmp_path, "--to", "onnx")
    assert code == 2
    assert told == "error: --to=onnx: needs nosuchpackage; pip install 'fakesound[export]'\n"


def test_wrong_places_are_told(run, tmp_path):
    file = tmp_path / "file"
    file.write_text("text")
    for arguments, words in (
        ((tmp_path / "lost", "--to", "onnx"), "no such file or folder"),
        ((tmp_path, "--to", "onnx"), "holds no checkpoints"),
        ((file, "--to", "onnx", "--out", tmp_path), "is a folder"),
        ((file, "--to", "onnx", "--out", file / "a.onnx"), "cannot be written"),
        ((file, "--to", "safetensors"), "is not a checkpoint"),
    ):
        code, printed, told = run(*arguments)
        assert code == 2
        assert words in told
        assert told.count("\n") == 1
        assert printed == ""
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_mistakes_are_told_before_anything_slow_is_imported(tmp_path):
    line = (
        "import sys, fakesound.export as e; sys.argv = ['x', 'lost', '--to', 'onnx']\n"
        "try: e.main()\n"
        "except SystemExit as stopped: print(stopped.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout == "2 False\n"


def test_help_explains_itself(run):
    code, printed, _ = run("--help")
    assert code == 0
    for words in ("RUN", "--to", "--out", "InferenceSession", "load_detector"):
        assert words in printed


def test_runs_are_averaged_into_one_file(run, finished, tmp_path):
    out = tmp_path / "mean.safetensors"
    code, printed, told = run(finished, "--average", finished, "--to", "safetensors", "--out", out)
    assert (code, printed) == (0, f"{out}\n"), told
    assert read_checkpoint(out).thresholds == pytest.approx(
        read_checkpoint(finished).thresholds, abs=1e-5
    )
    code, _, told = run(finished, "--average", finished, "--to", "onnx", "--out", out)
    assert code == 2
    assert "--to=onnx" in told
