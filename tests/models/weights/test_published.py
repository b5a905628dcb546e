"""Models with published weights have the outputs of the published models."""

import numpy as np
import pytest
import torch

from fakesound.models.stem import PatchStem
from fakesound.models.vim import VisionMamba

from . import published
from .cases import assert_same_features, detector, grey, loaded, original, saved

SIZES = {192: 7_148_008, 384: 25_796_584, 768: 97_598_440}


@pytest.mark.parametrize(("dim", "count"), SIZES.items())
def test_the_published_layout_has_as_many_parameters_as_published(dim, count):
    shapes = published.shapes(dim, 24, 196)
    assert sum(int(np.prod(shape)) for shape in shapes.values()) == count
    with torch.device("meta"):
        ours = VisionMamba(
            PatchStem(3, dim, (16, 16), (16, 16)), bins=224, steps=14, dim=dim, depth=24
        )
    head = 1000 * (dim + 1)
    assert sum(parameter.numel() for parameter in ours.parameters()) == count - head


def test_vim_equals_the_published_implementation(tmp_path):
    tensors = published.weights()
    model = detector()
    report = loaded(saved(tmp_path, tensors), model)
    assert_same_features(model, tensors, grey(224, 224))
    assert report.layout == "Vim"
    assert report.resized == ()
    assert report.converted == (("backbone.stem.proj.weight", "3 channels averaged for 3"),)


def test_a_misplaced_class_token_changes_the_outputs(tmp_path):
    """The loader of the original project takes the first position for the class token."""
    tensors = published.weights()
    model = detector()
    loaded(saved(tmp_path, tensors), model)
    torch.testing.assert_close(model.backbone.pos_embed[0, 98], tensors["pos_embed"][0, 98])
    with pytest.raises(AssertionError):
        assert_same_features(model, tensors, grey(224, 224), class_place="first")


@pytest.mark.parametrize("variant", ["v1", "v2", "none"])
def test_aum_equals_the_published_implementation(variant, tmp_path):
    tensors = published.aum(depth=2, columns=8, variant=variant)
    torch.save(tensors, tmp_path / "aum.pth")
    model = detector(128, 8, variant=variant)
    report = loaded(tmp_path / "aum.pth", model)
    plain = {name.removeprefix("module."): value for name, value in tensors.items()}
    assert_same_features(model, plain, grey(128, 128), variant=variant, class_place="first")
    assert report.layout == "AuM"
    assert dict(report.converted)["backbone.pos_embed"] == "frequency-major"


def test_outputs_equal_those_of_the_original_project(tmp_path):
    tensors, path = original(tmp_path)
    model = detector(40, 5, patch=(20, 20))
    report = loaded(path, model)
    assert_same_features(model, tensors, grey(40, 100))
    assert report.layout == "LitViM"
    skipped = {name for name, _ in report.skipped}
    assert {"vim.head.weight", "vim.seq_head.bias", "bce_weight"} <= skipped
    assert "vim.seq_layers.0.mixer.D" in skipped


@pytest.mark.parametrize(("depth", "there"), [(2, 3), (3, 2)])
def test_as_many_layers_as_both_have(depth, there, tmp_path):
    tensors = published.weights(depth=there)
    model = detector(depth=depth)
    report = loaded(saved(tmp_path, tensors), model)
    for layer in range(2):
        name = f"layers.{layer}.mixer.D_b"
        assert torch.equal(model.backbone.get_parameter(name), tensors[name])
    if there > depth:
        assert ("layers.2.mixer.D_b", "beyond backbone.depth=2") in report.skipped
    else:
        assert ("backbone.layers.2.mixer.D_b", "the file has 2 layers") in report.left


def test_weights_of_half_precision_are_widened(tmp_path):
    tensors = {name: value.half() for name, value in published.weights(depth=1).items()}
    model = detector(depth=1)
    loaded(saved(tmp_path, tensors), model)
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert torch.equal(model.backbone.norm_f.weight, tensors["norm_f.weight"].float())


def test_files_of_old_versions_of_torch_are_read(tmp_path):
    tensors, model = published.weights(depth=1), detector(depth=1)
    path = tmp_path / "old.pth"
    torch.save({"model": tensors}, path, _use_new_zipfile_serialization=False)
    loaded(path, model)
    assert torch.equal(model.backbone.norm_f.weight, tensors["norm_f.weight"])
