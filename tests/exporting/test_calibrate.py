"""Calibration of trained detectors on clips of a manifest."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from fakesound import Detector
from fakesound.data.manifest import read_manifest
from fakesound.scoring.checkpoint import read_checkpoint, source_hash, write_safetensors


@pytest.fixture
def export(run_verb):
    """Run the verb in this process; return the exit code and the output."""
    return partial(run_verb, "export")


@pytest.fixture
def manifest(finished, tmp_path):
    """Return a function that writes a manifest of some rows of the run."""

    def write(chosen, name="clips.jsonl"):
        rows = [json.loads(line) for line in (finished / "manifest.jsonl").read_text().splitlines()]
        for row in rows:
            row["path"] = str(finished / row["path"])
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows if chosen(row)))
        return path

    return write


def balanced_accuracy(scores, fake, threshold):
    called = scores > threshold
    return (called[fake].mean() + (~called[~fake]).mean()) / 2


def test_the_threshold_is_the_best_on_the_clips(export, finished, manifest, tmp_path):
    path, out = manifest(lambda row: row["split"] == "test"), tmp_path / "calibrated.safetensors"
    code, stdout, stderr = export(finished, "--calibrate", path, "--to=safetensors", "--out", out)
    assert code == 0, stderr
    assert stdout == f"{out}\n"
    # the run has a few steps only
    assert "warning: calibration:" in stderr
    clips, detector = read_manifest(path), Detector.from_checkpoint(out)
    scores = np.array([detector.detect(clip.location).score for clip in clips])
    fake = np.array([clip.is_fake for clip in clips])
    candidates = np.concatenate([[0.0], np.sort(scores)])
    best = max(balanced_accuracy(scores, fake, threshold) for threshold in candidates)
    new, before = read_checkpoint(out), read_checkpoint(finished)
    assert balanced_accuracy(scores, fake, new.thresholds["clip"]) == pytest.approx(best)
    for name, tensor in before.weights.items():
        if name != "clip_head.maps":
            assert torch.equal(new.weights[name], tensor), name
    held_out = {source_hash(source) for clip in clips for source in clip.sources}
    assert new.sources == before.sources | held_out
    assert new.attacks == before.attacks
    assert set(new.selected_on) == {clip.attack for clip in clips if clip.is_fake} - {*new.attacks}


def test_training_clips_are_refused(export, finished, manifest, tmp_path):
    path, out = manifest(lambda row: row["split"] != "test"), tmp_path / "out.safetensors"
    code, _, stderr = export(finished, "--calibrate", path, "--to=safetensors", "--out", out)
    assert code == 2
    assert "was in training" in stderr
    assert not out.exists()
    # the file of a run does not distinguish training from validation
    assert export(finished, "--to=safetensors", "--out", out)[0] == 0
    path = manifest(lambda row: row["split"] == "validation", "validation.jsonl")
    assert export(finished, "--calibrate", path, "--to=safetensors", "--out", f"{out}.2")[0] == 0
    assert export(out, "--calibrate", path, "--to=safetensors", "--out", f"{out}.3")[0] == 2


def test_recordings_of_an_old_checkpoint_stay_unknown(export, finished, manifest, tmp_path):
    old, out = tmp_path / "old.safetensors", tmp_path / "out.safetensors"
    write_safetensors(old, replace(read_checkpoint(finished), sources=None))
    path = manifest(lambda row: row["split"] == "test")
    code, _, stderr = export(old, "--calibrate", path, "--to=safetensors", "--out", out)
    assert code == 0, stderr
    assert "does not list its training" in stderr
    assert read_checkpoint(out).sources is None


@pytest.mark.parametrize("label", ["genuine", "fake"])
def test_clips_of_one_label_are_refused(export, finished, manifest, tmp_path, label):
    path = manifest(lambda row: row["split"] == "test" and row["label"] == label)
    out = tmp_path / "out.safetensors"
    code, _, stderr = export(finished, "--calibrate", path, "--to=safetensors", "--out", out)
    assert code == 2
    assert str(path) in stderr
    assert ("fake" if label == "genuine" else "genuine") in stderr


def test_only_weights_are_written(export, finished, manifest):
    path = manifest(lambda row: row["split"] == "test")
    code, _, stderr = export(finished, "--calibrate", path, "--to=onnx")
    assert code == 2
    assert "--calibrate" in stderr
