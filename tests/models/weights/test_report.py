"""Every tensor of the file and of the model is accounted for."""

import json

import pytest
import torch
from rich.console import Console

from fakesound.models.weights import fit_weights, read_weights
from fakesound.models.weights.report import condense

from . import published
from .cases import detector, loaded, original, saved

CASES = {
    "vim": (lambda folder: saved(folder, published.weights()), {}),
    "shallow": (lambda folder: saved(folder, published.weights()), {"depth": 1}),
    "deep": (lambda folder: saved(folder, published.weights()), {"depth": 3}),
    "conv": (lambda folder: saved(folder, published.weights()), {"patch": None, "bins": 16}),
    "bare": (
        lambda folder: saved(folder, published.weights()),
        {"pos_embed": False, "class_token": False},
    ),
    "original": (lambda folder: original(folder)[1], {}),
}


@pytest.mark.parametrize("case", CASES)
def test_every_tensor_of_file_and_model_is_accounted_for(case, tmp_path):
    make, options = CASES[case]
    file, model, untouched = read_weights(make(tmp_path)), detector(**options), detector(**options)
    initial = fit_weights(file, model)
    for name, value in untouched.state_dict().items():
        assert torch.equal(model.state_dict()[name], value), "changed before it was asked for"
    report = initial.report
    given = [*report.loaded, *(name for name, _ in (*report.resized, *report.converted))]
    left, skipped = [name for name, _ in report.left], [name for name, _ in report.skipped]
    assert sorted([*given, *left]) == sorted(model.state_dict())
    assert len(skipped) == len(set(skipped))
    assert set(skipped) <= set(file.tensors) | set(file.others)
    assert len(given) + len(skipped) == len(file.tensors) + len(file.others)
    initial.load_into(model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, untouched.state_dict()[name]) == (name in left), name


def test_the_report_is_one_table_and_few_plain_values(tmp_path):
    report = loaded(saved(tmp_path, published.weights()), detector(16 * 4, 9))
    console = Console(width=100)
    with console.capture() as capture:
        console.print(report.table())
    text = capture.get()
    for words in ("weights of weights.pth (Vim)", "14 x 14 to 4 x 9", "backbone.layers.0-1"):
        assert words in text
    for words in ("head of another task", "args", "heads of this task"):
        assert words in text
    summary = json.loads(json.dumps(report.summary(), allow_nan=False))
    assert summary["file"] == "weights.pth"
    assert summary["loaded"] == len(report.loaded) > 30
    assert summary["resized"] == {"backbone.pos_embed": "14 x 14 to 4 x 9, frequency-major"}
    assert summary["skipped"]["the head of another task"] == "head"
    assert len(summary["sha256"]) == 64


def test_names_are_shortened():
    names = [f"layers.{layer}.norm.weight" for layer in (0, 1, 2, 4)]
    assert condense([*names, "a.weight", "a.bias", "b.weight"]) == "layers.0-2,4, a, b.weight"
