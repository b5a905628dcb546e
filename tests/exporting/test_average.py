"""Averages of runs: the mean of their weights, calibrated on the validation of the first."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from fakesound.errors import InputError
from fakesound.exporting.average import OWN_HEAD, average_runs, mean_weights
from fakesound.scoring.checkpoint import checkpoint_bytes, read_checkpoint


@pytest.fixture
def other(finished, tmp_path):
    """Return a copy of the run with other weights."""
    folder = tmp_path / "other"
    shutil.copytree(finished, folder)
    best = folder / "checkpoints/best.ckpt"
    held = torch.load(best, weights_only=True)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in held["state_dict"].items():
        if name.endswith("weight"):
            noise = torch.randn(tensor.shape, generator=generator)
            held["state_dict"][name] = tensor + 0.05 * noise
    best.write_bytes(checkpoint_bytes(held))
    return folder


def test_a_run_averaged_with_itself_is_the_run(finished):
    averaged, run = average_runs(finished, [finished]), read_checkpoint(finished)
    # scores of a batch and of clips one by one differ in the last digits
    assert averaged.thresholds == pytest.approx(run.thresholds, abs=1e-5)
    assert (averaged.attacks, averaged.selected_on) == (run.attacks, run.selected_on)
    assert averaged.sources == run.sources
    assert averaged.heads.families == run.heads.families
    assert averaged.heads.thresholds == pytest.approx(run.heads.thresholds, abs=1e-4)
    for name, tensor in run.weights.items():
        if name != "clip_head.maps":
            assert torch.equal(averaged.weights[name], tensor), name


def test_weights_are_the_mean(finished, other):
    runs = [read_checkpoint(folder) for folder in (finished, other, finished)]
    mean = mean_weights(runs)
    changed = 0
    for name, tensor in mean.items():
        expected = np.mean([run.weights[name].numpy() for run in runs], axis=0, dtype=np.float64)
        np.testing.assert_allclose(tensor.numpy(), expected, rtol=1e-6, atol=1e-7)
        changed += not torch.equal(tensor, runs[0].weights[name])
    assert changed > 10


def test_the_attribution_head_is_that_of_the_first_run(finished, other):
    first, second = read_checkpoint(finished), read_checkpoint(other)
    name = f"{OWN_HEAD}proj.weight"
    first = replace(first, weights={**first.weights, name: torch.zeros(3, 4)})
    second = replace(second, weights={**second.weights, name: torch.ones(5, 4)})
    assert torch.equal(mean_weights([first, second])[name], torch.zeros(3, 4))


def test_other_architectures_are_named(finished, other):
    first, second = read_checkpoint(finished), read_checkpoint(other)
    name = next(iter(second.weights))
    short = {k: v for k, v in second.weights.items() if k != name}
    with pytest.raises(InputError, match=f"other.*{name} is missing"):
        mean_weights([first, replace(second, weights=short)])


def test_a_run_that_trained_on_the_validation_is_refused(finished, other):
    manifest = other / "manifest.jsonl"
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for row in rows:
        if row["split"] == "validation":
            row["split"] = "train"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError, match="a validation recording"):
        average_runs(finished, [other])
    manifest.unlink()
    with pytest.raises(InputError, match=r"manifest\.jsonl"):
        average_runs(finished, [other])
