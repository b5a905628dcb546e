import math

import pytest
import torch
from torch import nn
from torch.optim import AdamW

from fakesound.models.detector import Detector
from fakesound.models.features import POWER, Spectrogram
from fakesound.models.losses import LossWeighting
from fakesound.models.stem import ConvStem, PatchStem
from fakesound.models.vim import VisionMamba
from fakesound.training.optim import parameter_groups, warmup_cosine

DIM, BINS = 16, 16


def model(stem="conv", variant="v2"):
    module = (
        ConvStem(POWER, DIM, BINS, 2, [8, 8])
        if stem == "conv"
        else PatchStem(POWER, DIM, (8, 4), (8, 4))
    )
    backbone = VisionMamba(module, BINS, 10, DIM, 2, variant=variant, pos_embed=True)
    features = Spectrogram("logstft", 8000, 128, 80, BINS)
    parts = {
        "detector": Detector(features, backbone, 2),
        "weighting": LossWeighting("uncertainty", {"clip": 1.0, "frame": 1.0}),
    }
    return nn.ModuleDict(parts)


def names_of(module, group):
    of = {id(parameter): name for name, parameter in module.named_parameters()}
    return [of[id(parameter)] for parameter in group["params"]]


@pytest.mark.parametrize("stem", ["conv", "patch"])
@pytest.mark.parametrize("variant", ["v1", "v2", "none"])
def test_every_parameter_is_in_one_group(stem, variant):
    module = model(stem, variant)
    decayed, kept = (names_of(module, group) for group in parameter_groups(module, 0.1))
    assert sorted(decayed + kept) == sorted(name for name, _ in module.named_parameters())


@pytest.mark.parametrize("stem", ["conv", "patch"])
def test_matrices_decay_and_nothing_else(stem):
    module = model(stem)
    groups = parameter_groups(module, 0.1)
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    decayed, kept = (set(names_of(module, group)) for group in groups)
    shapes = {name: parameter.ndim for name, parameter in module.named_parameters()}
    assert all(shapes[name] > 1 for name in decayed)
    spared = ("A_log", "A_b_log", "cls_token", "pos_embed")
    assert {name for name in kept if shapes[name] > 1} == {
        name for name in shapes if name.endswith(spared)
    }
    assert {name for name in shapes if name.endswith((".D", ".D_b", "bias"))} <= kept


def test_frozen_parameters_are_left_alone():
    module = model()
    module["detector"].backbone.requires_grad_(False)
    names = {name for group in parameter_groups(module, 0.1) for name in names_of(module, group)}
    assert names
    assert not any(name.startswith("detector.backbone") for name in names)


def test_without_a_gradient_spared_parameters_stay_as_they_are():
    module = model()
    optimiser = AdamW(parameter_groups(module, 0.5), lr=0.1)
    before = {name: parameter.clone() for name, parameter in module.named_parameters()}
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    moved = {n for n, p in module.named_parameters() if not torch.equal(p, before[n])}
    assert moved == set(names_of(module, optimiser.param_groups[0]))


def rates(steps, warmup, final, taken=None, lr=1.0, cooldown=0.0):
    """Return the learning rate of each step."""
    optimiser = AdamW([nn.Parameter(torch.zeros(2, 2))], lr=lr)
    schedule = warmup_cosine(optimiser, steps, warmup, final, cooldown)
    found = []
    for _ in range(steps if taken is None else taken):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


def test_rises_linearly_then_falls_by_half_a_cosine():
    found = rates(110, 10 / 110, 0.02, lr=0.5)
    assert found[:10] == pytest.approx([0.5 * step / 10 for step in range(1, 11)])
    falling = [0.01 + 0.49 * (1 + math.cos(math.pi * step / 100)) / 2 for step in range(100)]
    assert found[10:] == pytest.approx(falling)


def test_a_cooldown_keeps_the_last_rate():
    found = rates(400, 0.125, 0.02, cooldown=0.125)
    assert found[:50] == pytest.approx([step / 50 for step in range(1, 51)])
    assert found[50:350] == pytest.approx(rates(350, 50 / 350, 0.02)[50:])
    assert found[350:] == pytest.approx([0.02] * 50)


@pytest.mark.parametrize("final", [0.0, 0.02, 1.0])
def test_ends_at_its_share_of_the_peak_and_stays(final):
    found = rates(50, 0.1, final, taken=80)
    assert found[49] == pytest.approx(final, abs=2e-3)
    assert found[50:] == pytest.approx([final] * 30)


@pytest.mark.parametrize("warmup", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("steps", [1, 2, 50])
def test_the_peak_is_reached_and_never_passed(steps, warmup):
    found = rates(steps, warmup, 0.0)
    assert max(found) == pytest.approx(1)
    assert min(found) > 0
    top = found.index(max(found))
    assert found[: top + 1] == sorted(found[: top + 1])
    assert found[top:] == sorted(found[top:], reverse=True)
    assert top <= max(0, round(warmup * steps) - 1)


def test_groups_share_the_schedule():
    optimiser = AdamW(parameter_groups(model(), 0.1), lr=1.0)
    schedule = warmup_cosine(optimiser, 10, 0.5, 0.1)
    optimiser.step()
    schedule.step()
    assert [group["lr"] for group in optimiser.param_groups] == [0.4, 0.4]
