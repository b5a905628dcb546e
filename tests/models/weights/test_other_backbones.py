"""Only Vision Mambas exchange weights; other backbones get an error."""

import pytest
import torch

from fakesound.errors import InputError
from fakesound.models.convolutional import ConvolutionalNetwork
from fakesound.models.detector import Detector
from fakesound.models.residual import ResidualBlock
from fakesound.models.ssd import Ssd
from fakesound.models.stem import PatchStem
from fakesound.models.transformer import Transformer
from fakesound.models.vim import VisionMamba
from fakesound.models.weights import fit_weights, read_weights

DIM, BINS = 16, 32
TOKENS = {"bins": BINS, "steps": 4, "dim": DIM, "depth": 1}


def detector(kind):
    stem = PatchStem(3, DIM, (16, 4), (16, 4))
    backbone = {
        "vim": lambda: VisionMamba(stem, **TOKENS),
        "transformer": lambda: Transformer(stem, **TOKENS, head_dim=8),
        "ssd": lambda: Ssd(stem, **TOKENS, head_dim=8),
        "fcn_resnet": lambda: ConvolutionalNetwork(ResidualBlock, 3, BINS, 2, DIM, [4, 4], 1),
    }[kind]()
    return Detector(torch.nn.Module(), backbone, 2)


def saved(kind, folder):
    path = folder / f"{kind}.pth"
    torch.save(detector(kind).state_dict(), path)
    return read_weights(path)


@pytest.mark.parametrize("kind", ["transformer", "ssd", "fcn_resnet"])
def test_other_backbones_do_not_start_from_weights_of_a_vision_mamba(kind, tmp_path):
    with pytest.raises(InputError) as caught:
        fit_weights(saved("vim", tmp_path), detector(kind))
    assert str(caught.value).endswith(
        "only Vision Mamba backbones can start from it; use a backbone=vim_*"
    )


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("transformer", "holds no Vision Mamba layers"),
        ("ssd", "its layers are not those of Vim or AuM"),
        ("fcn_resnet", "holds no Vision Mamba layers"),
    ],
)
def test_a_vision_mamba_does_not_start_from_weights_of_other_backbones(kind, message, tmp_path):
    with pytest.raises(InputError) as caught:
        fit_weights(saved(kind, tmp_path), detector("vim"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
