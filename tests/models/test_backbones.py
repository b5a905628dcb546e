"""Backbones of the configuration."""

from functools import cache

import pytest
import torch

from fakesound.config import BackboneConfig
from fakesound.config.compose import compose_config, configuration_folder, run_config
from fakesound.config.model import KINDS as BACKBONE_KINDS
from fakesound.errors import InputError
from fakesound.models.backbones import build_backbone
from fakesound.models.build import GRID, build_detector, build_features

NAMES = sorted(path.stem for path in configuration_folder().glob("backbone/*.yaml"))
LARGER = ("_tiny", "_small", "_base")
# one of each kind, and whether or not its name says so, of the size of vim_micro
KINDS = [name for name in NAMES if not name.endswith(LARGER)]
TOLERANCE = {"vim_micro": 0.1, "vim_tiny": 0.15, "vim_small": 0.15}
# what experiment=smoke sets, which any backbone must take
SMOKE = ("backbone.dim=32", "backbone.depth=1", "backbone.stem.channels=[8,8,8]")


def configuration(name, *overrides):
    return run_config(compose_config([f"backbone={name}", *overrides]))


def backbone(name, *overrides):
    config = configuration(name, *overrides)
    features = build_features(config.features, config.data.sample_rate)
    return build_backbone(config.backbone, features, config.data.crop.seconds, "chunked")


@cache
def parameters(name):
    """Return the number of parameters of a detector."""
    with torch.device("meta"):
        detector = build_detector(configuration(name))
    return sum(parameter.numel() for parameter in detector.parameters())


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("vim_")])
def test_every_other_backbone_is_of_the_size_of_a_vision_mamba(name):
    ours = "vim_micro" if name in KINDS else f"vim_{name.rpartition('_')[2]}"
    assert parameters(name) / parameters(ours) == pytest.approx(1, abs=TOLERANCE[ours])


def test_each_kind_has_a_backbone_of_each_comparable_size():
    assert {configuration(name).backbone.kind for name in KINDS} == set(BACKBONE_KINDS)
    for kind in ("transformer", "ssd"):
        assert {f"{kind}_{size}" for size in ("micro", "tiny", "small")} <= set(NAMES)


@pytest.mark.parametrize("size", ["micro", "tiny", "small"])
def test_backbones_of_a_size_have_one_stem(size):
    stems = [configuration(f"{kind}_{size}").backbone for kind in ("vim", "transformer", "ssd")]
    assert len({(one.dim, repr(one.stem)) for one in stems}) == 1


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("overrides", [(), (*SMOKE, "features.bins=64")])
def test_each_kind_gives_a_token_for_every_frame(name, overrides):
    model = backbone(name, *overrides).eval()
    bins = 64 if overrides else 256
    for frames in (1, 37):
        windows = frames * model.windows
        with torch.no_grad():
            tokens, summary = model.forward_features(torch.randn(2, 3, bins, windows))[:2]
        assert tokens.shape == (2, frames, model.dim)
        assert summary.shape == (2, model.dim)


@pytest.mark.parametrize("name", KINDS)
def test_the_same_seed_gives_the_same_detector(name):
    one, other = (build_detector(configuration(name, *SMOKE)).state_dict() for _ in range(2))
    assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_initial_weights_of_vision_mamba_are_unchanged():
    """The order of draws is fixed, so that runs of earlier versions can be repeated."""
    from fakesound.models.mamba import BidirectionalMamba
    from fakesound.models.stem import PatchStem
    from fakesound.models.vim import VisionMamba

    torch.manual_seed(3)
    backbone = VisionMamba(PatchStem(3, 16, (8, 4), (8, 4)), bins=16, steps=5, dim=16, depth=2)
    torch.manual_seed(3)
    stem = PatchStem(3, 16, (8, 4), (8, 4))
    mixers = [BidirectionalMamba(16) for _ in range(2)]
    embeddings = [torch.nn.init.trunc_normal_(torch.empty(1, n, 16), std=0.02) for n in (1, 11)]
    for mixer in mixers:
        torch.nn.init.kaiming_uniform_(mixer.out_proj.weight, a=5**0.5)
        mixer.out_proj.weight.data /= 2**0.5
    expected = {"cls_token": embeddings[0], "pos_embed": embeddings[1]}
    expected |= {f"stem.{name}": value for name, value in stem.state_dict().items()}
    for number, mixer in enumerate(mixers):
        expected[f"layers.{number}.norm.weight"] = torch.ones(16)
        for name, value in mixer.state_dict().items():
            expected[f"layers.{number}.mixer.{name}"] = value
    expected["norm_f.weight"] = torch.ones(16)
    result = backbone.state_dict()
    assert list(result) == list(expected)
    for name, value in expected.items():
        assert torch.equal(result[name], value), name


@pytest.mark.parametrize(
    ("name", "override", "message"),
    [
        ("transformer_micro", "backbone.state=8", "backbone.state=8: backbone.kind=transformer"),
        ("transformer_micro", "backbone.tied_decay=true", "backbone.tied_decay=true: "),
        ("ssd_micro", "backbone.variant=v1", "backbone.variant=v1: backbone.kind=ssd has no"),
        ("fcn_resnet", "backbone.expand=4", "backbone.expand=4: backbone.kind=fcn_resnet"),
        ("fcn_resnet", "backbone.pos_embed=true", "backbone.pos_embed=true: "),
        ("mobilenet", "backbone.order=frequency", "backbone.order=frequency: "),
        ("deeplab", "backbone.interpolate=true", "backbone.interpolate=true: backbone.kind="),
        ("mobilenet", "backbone.stem.kind=patch", "backbone.stem.kind=patch: must be conv"),
        ("vim_micro", "backbone.head_dim=16", "backbone.head_dim=16: backbone.kind=vim has no"),
        ("transformer_micro", "backbone.head_dim=36", "backbone.head_dim=36: must divide the 96"),
        ("ssd_micro", "backbone.head_dim=36", "backbone.head_dim=36: must divide the 192"),
    ],
)
def test_options_of_other_kinds_are_refused(name, override, message):
    with pytest.raises(InputError) as caught:
        configuration(name, override)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_convolutional_networks_have_no_class_token():
    assert not BackboneConfig(kind="mobilenet").class_token
    assert BackboneConfig(kind="ssd").class_token


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vim_micro", "features.bins=48: a stem of 5 convolutions needs a multiple of 32"),
        ("fcn_resnet", "features.bins=48: a network of 4 stages needs a multiple of 32"),
    ],
)
def test_frequency_must_halve_as_often_as_it_is_halved(name, message):
    with pytest.raises(InputError, match=message):
        backbone(name, "features.bins=48")


def test_steps_are_those_of_a_crop():
    config = configuration("transformer_tiny")
    model = backbone("transformer_tiny")
    windows = GRID.count(config.data.crop.seconds) * 2
    assert model.grid == (16, -(-windows // 16))
