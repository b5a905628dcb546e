"""Detectors and files for tests of loading weights."""

import argparse

import pytest
import torch
from torch import nn

from fakesound.config import HeadsConfig
from fakesound.errors import InputError
from fakesound.models.detector import Detector
from fakesound.models.stem import ConvStem, PatchStem
from fakesound.models.vim import VisionMamba
from fakesound.models.weights import fit_weights, read_weights

from . import published


class Given(nn.Module):
    """Precomputed features with statistics and settings."""

    kind, window, bins, sample_rate, hop = "logstft", 512, 0, 16_000, 160

    def __init__(self, bins):
        super().__init__()
        self.bins = bins
        self.register_buffer("mean", torch.zeros(bins))
        self.register_buffer("deviation", torch.ones(()))


def detector(
    bins=224,
    steps=14,
    dim=192,
    patch=(16, 16),
    seed=1,
    heads=(True, True),
    widths=(4, 4),
    blocks=0,
    **options,
):
    """Return a detector whose values differ from those of the file."""
    torch.manual_seed(seed)
    conv = (3, dim, bins, 2, widths, blocks)
    stem = PatchStem(3, dim, patch, patch) if patch else ConvStem(*conv)
    options = {"depth": 2, "order": "frequency", "kernel": "chunked"} | options
    backbone = VisionMamba(stem, bins=bins, steps=steps, dim=dim, **options)
    module = Detector(Given(bins), backbone, 1, HeadsConfig(clip=heads[0], frame=heads[1])).eval()
    for parameter in module.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return module


def saved(folder, tensors, name="weights.pth", **beside):
    """Save like Vim: weights under "model" and the arguments of the script."""
    beside = {"args": argparse.Namespace(model="vim", lr=1e-3), "epoch": 299} | beside
    path = folder / name
    torch.save({"model": tensors} | beside, path)
    return path


def loaded(path, model, grid=None):
    """Load the file into the detector and return the report."""
    initial = fit_weights(read_weights(path), model, grid)
    initial.load_into(model)
    return initial.report


def error_message(path, model=None, grid=None):
    """Return the error of a file that cannot be used: one line that names the file."""
    with pytest.raises(InputError) as caught:
        fit_weights(read_weights(path), model or detector(), grid)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert ";" in message, "no fix"
    return message


def grey(rows, columns, seed=0):
    """Return a picture with equal channels."""
    image = torch.randn(2, 1, rows, columns, generator=torch.Generator().manual_seed(seed))
    return image.expand(-1, 3, -1, -1)


def assert_same_features(model, tensors, image, **options):
    with torch.no_grad():
        result = model.backbone.forward_features(image)
    image = image[:, : tensors["patch_embed.proj.weight"].shape[1]]
    own, patches = published.features(tensors, image, **options)
    torch.testing.assert_close(result.summary.double(), own, rtol=0, atol=1e-4)
    torch.testing.assert_close(result.tokens.double(), patches.mean(1), rtol=0, atol=1e-4)


def original(folder, grid=(2, 5), tell=True):
    """Return a checkpoint of the original project with its heads and frame layers."""
    tensors = published.weights(places=grid[0] * grid[1], patch=(20, 20), channels=1, classes=1)
    tensors |= {"seq_head.weight": torch.zeros(1, 192), "seq_head.bias": torch.zeros(1)}
    extra = {f"seq_{name}": value for name, value in tensors.items() if name.startswith("layers.0")}
    wrapped = {f"vim.{name}": value for name, value in (tensors | extra).items()}
    wrapped["bce_weight"] = torch.ones(1)
    known = {"img_size": (40, 100), "patch_size": (20, 20), "stride": (20, 20), "depth": 2}
    held = {"state_dict": wrapped, "epoch": 399} | ({"hyper_parameters": known} if tell else {})
    torch.save(held, folder / "original.ckpt")
    return tensors, folder / "original.ckpt"


def laid(tensor, rows, columns):
    """Return published positions without that of the class token, row by row."""
    middle = rows * columns // 2
    return torch.cat((tensor[0, :middle], tensor[0, middle + 1 :])).view(rows, columns, -1)
