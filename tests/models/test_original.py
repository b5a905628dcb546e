"""Untrained systems of the 2024 project."""

import numpy as np
import pytest
import torch

from fakesound.config.compose import compose_config, run_config
from fakesound.models.build import build_detector
from fakesound.models.heads import clip_logit
from fakesound.models.stem import PatchStem
from fakesound.models.vim import VisionMamba

from .scan.conftest import one_thread  # noqa: F401  # of every test here too

SYSTEMS = pytest.mark.parametrize("name", ["original", "original_cnn"])


def detector(*overrides):
    return build_detector(run_config(compose_config(overrides)))


@pytest.mark.parametrize(
    ("patch", "parameters"),
    # counted in the published code
    [("20,20", 25_464_578), ("20,10", 25_656_578), ("56,5", 25_533_698), ("280,1", 25_533_698)],
)
def test_it_has_as_many_parameters_as_the_published_model(patch, parameters):
    model = detector(
        "experiment=original",
        "backbone=vim_small",
        "backbone.depth=24",
        f"backbone.stem.patch=[{patch}]",
    )
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize(
    "overrides",
    [
        ("experiment=original",),
        ("experiment=original", "backbone.stem.patch=[56,5]"),
        ("experiment=original", "heads.neck=mamba"),
        ("experiment=original_cnn",),
    ],
)
def test_frames_of_any_length_get_a_logit(overrides):
    model = detector(*overrides, "data.crop.seconds=1").eval()
    for frames in (1, 3, 51):
        with torch.no_grad():
            result = model(torch.randn(2, frames * 320))
        assert result["frame_logits"].shape == (2, frames)
        assert result["frame_logits"].isfinite().all()
        # one clip logit for the whole input
        assert torch.equal(result["evidence"], result["evidence"][:, :1].expand(2, frames))
        assert "attention" not in result


@SYSTEMS
def test_every_parameter_gets_a_gradient(name):
    model = detector(f"experiment={name}", "data.crop.seconds=1").train()
    result = model(torch.randn(4, 16_000))
    loss = (result["frame_logits"] * torch.randn_like(result["frame_logits"])).sum()
    (loss + clip_logit(result, torch.ones(4, 50, dtype=torch.bool), model.pooling).sum()).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@SYSTEMS
def test_the_clip_logit_is_a_linear_map_of_the_summary(name):
    model = detector(f"experiment={name}", "data.crop.seconds=1").eval()
    waveform = torch.randn(2, 16_000)
    with torch.no_grad():
        summary = model.backbone.forward_features(model.features(waveform)).summary
        expected = summary @ model.clip_head.proj.weight[0] + model.clip_head.proj.bias
        result = clip_logit(model(waveform), torch.ones(2, 50, dtype=torch.bool), model.pooling)
    torch.testing.assert_close(result, expected)


@pytest.mark.parametrize(("width", "windows"), [(5, 40), (5, 44), (20, 40), (20, 46), (2, 18)])
def test_tokens_are_interpolated_between_the_middles_of_steps(width, windows):
    torch.manual_seed(0)
    model = VisionMamba(
        PatchStem(1, 8, (4, width), (4, width)),
        bins=8,
        steps=40 // width,
        dim=8,
        depth=1,
        order="frequency",
        kernel="chunked",
    ).eval()
    spectrogram = torch.randn(1, 1, 8, windows)
    padded = torch.nn.functional.pad(spectrogram, (0, -windows % np.lcm(width, 2)))
    with torch.no_grad():
        coarse = model.forward_features(padded).tokens[0].numpy()
        model.interpolated = 2
        fine = model.forward_features(spectrogram).tokens[0].numpy()
    assert model.windows == 2
    middles = (np.arange(len(coarse)) + 0.5) * width
    frames = 2 * np.arange(windows // 2) + 1
    expected = np.stack([np.interp(frames, middles, channel) for channel in coarse.T], 1)
    np.testing.assert_allclose(fine, expected, atol=1e-5)
