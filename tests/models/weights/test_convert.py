"""Positions, patches and channels of another size or order."""

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from fakesound.models.weights.convert import (
    Positions,
    arrange_positions,
    resize_patches,
    share_channels,
)

from . import published
from .cases import detector, laid, loaded, saved


def resized(values, count):
    """Return cubic resizing along the first axis with antialiasing (Keys, a = -0.5)."""

    def cubic(x):
        x = abs(x)
        if x < 1:
            return 1.5 * x**3 - 2.5 * x**2 + 1
        return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0

    scale = len(values) / count
    wide, rows = max(scale, 1.0), []
    for place in range(count):
        centre = (place + 0.5) * scale
        near = np.array([cubic((k + 0.5 - centre) / wide) for k in range(len(values))])
        rows.append(np.tensordot(near / near.sum(), values, 1))
    return np.stack(rows)


@pytest.mark.parametrize("size", [(16, 13), (3, 40), (27, 27)])
def test_positions_are_resized_as_pictures_are(size):
    torch.manual_seed(0)
    grid = torch.randn(1, 5, 14, 14)
    expected = interpolate(grid, size, mode="bicubic", antialias=True)
    found = arrange_positions(Positions(grid, None), size, "frequency", False)
    torch.testing.assert_close(found, expected.flatten(2).mT, rtol=0, atol=1e-5)


@pytest.mark.parametrize("order", ["time", "frequency"])
@pytest.mark.parametrize(
    ("bands", "steps", "side"), [(14, 14, 14), (16, 13, 14), (3, 40, 27), (1, 9, 14), (5, 1, 14)]
)
def test_positions_are_stretched_and_put_in_our_order(order, bands, steps, side, tmp_path):
    tensors = published.weights(depth=1, places=side * side)
    model = detector(16 * bands, steps, depth=1, order=order)
    report = loaded(saved(tmp_path, tensors), model)
    expected = laid(tensors["pos_embed"], side, side).numpy()
    expected = resized(resized(expected, bands).swapaxes(0, 1), steps).swapaxes(0, 1)
    found = model.backbone.pos_embed.detach()
    middle = bands * steps // 2
    torch.testing.assert_close(found[0, middle], tensors["pos_embed"][0, side * side // 2])
    shape = (steps, bands) if order == "time" else (bands, steps)
    places = torch.cat((found[0, :middle], found[0, middle + 1 :])).view(*shape, -1).numpy()
    places = places.swapaxes(0, 1) if order == "time" else places
    np.testing.assert_allclose(places, expected, atol=2e-5)
    changed = dict(report.resized) | dict(report.converted)
    same = (bands, steps) == (side, side)
    if same and order == "frequency":
        assert "backbone.pos_embed" in report.loaded
    else:
        size = "" if same else f"{side} x {side} to {bands} x {steps}, "
        assert changed["backbone.pos_embed"] == f"{size}{order}-major"


def test_positions_of_aum_are_stretched_from_8_by_64(tmp_path):
    tensors = published.aum(depth=1)
    torch.save(tensors, tmp_path / "aum.pth")
    model = detector(64, 20, depth=1, variant="v1")
    report = loaded(tmp_path / "aum.pth", model)
    stored = tensors["module.pos_embed.pos_embed"]
    expected = stored[0, 1:].view(8, 64, -1).numpy()
    expected = resized(resized(expected, 4).swapaxes(0, 1), 20).swapaxes(0, 1).reshape(80, -1)
    found = model.backbone.pos_embed.detach()[0]
    np.testing.assert_allclose(torch.cat((found[:40], found[41:])), expected, atol=2e-5)
    torch.testing.assert_close(found[40], stored[0, 0])
    assert dict(report.resized)["backbone.pos_embed"] == "8 x 64 to 4 x 20, frequency-major"


def test_without_a_class_token_or_positions_theirs_are_skipped(tmp_path):
    tensors = published.weights(depth=1)
    path = saved(tmp_path, tensors)
    model = detector(depth=1, class_token=False)
    report = loaded(path, model)
    torch.testing.assert_close(
        model.backbone.pos_embed.detach()[0], laid(tensors["pos_embed"], 14, 14).flatten(0, 1)
    )
    assert ("cls_token", "backbone.class_token=false") in report.skipped
    assert dict(report.converted)["backbone.pos_embed"].endswith("without the class token's")
    report = loaded(path, detector(depth=1, pos_embed=False))
    assert ("pos_embed", "backbone.pos_embed=false") in report.skipped


def test_a_class_token_that_the_file_lacks_starts_as_it_would(tmp_path):
    tensors = published.weights(depth=1)
    del tensors["cls_token"]
    tensors["pos_embed"] = laid(tensors["pos_embed"], 14, 14).view(1, 196, -1)
    model, untouched = detector(depth=1), detector(depth=1)
    report = loaded(saved(tmp_path, tensors), model)
    found = model.backbone.pos_embed.detach()
    assert torch.equal(found[0, 98], untouched.backbone.pos_embed[0, 98])
    assert torch.equal(laid(found, 14, 14), tensors["pos_embed"].view(14, 14, -1))
    assert ("backbone.cls_token", "not in the file") in report.left


def test_channels_that_are_alike_get_the_response_they_had():
    torch.manual_seed(0)
    for there in (1, 3, 4):
        weight, image = torch.randn(5, there, 4, 4), torch.randn(2, 1, 4, 4)
        before = torch.einsum("dchw,bchw->bd", weight, image.expand(-1, there, -1, -1))
        shared = share_channels(weight, 3)
        after = torch.einsum("dchw,bchw->bd", shared, image.expand(-1, 3, -1, -1))
        torch.testing.assert_close(after, before)


def stretch(old, new):
    """Return linear resizing with antialiasing as a matrix."""
    scale = old / new
    at = (np.arange(new)[:, None] + 0.5) * scale - np.arange(old) - 0.5
    near = np.clip(1 - abs(at) / max(scale, 1), 0, None)
    return torch.tensor(near / near.sum(1, keepdims=True))


@pytest.mark.parametrize("size", [(16, 16), (20, 32), (4, 8), (32, 4), (40, 1)])
def test_filters_answer_to_resized_patches_as_they_did_to_the_patches(size):
    torch.manual_seed(0)
    weight = torch.randn(6, 3, 16, 16, dtype=torch.float64)
    found = resize_patches(weight, size)
    # of all filters on patches resized so, the nearest by least squares
    resizing = torch.kron(stretch(16, size[0]), stretch(16, size[1]))
    best = torch.linalg.lstsq(resizing.mT, weight.flatten(2).flatten(0, 1).mT, driver="gelsd")
    torch.testing.assert_close(found.flatten(2).flatten(0, 1).mT, best.solution)
    if min(size) >= 16:
        patch = torch.randn(16 * 16, dtype=torch.float64)
        after = found.flatten(2) @ (resizing @ patch)
        torch.testing.assert_close(after, weight.flatten(2) @ patch)


def test_patches_of_another_size_are_resized(tmp_path):
    tensors = published.weights(depth=1)
    model = detector(224, 56, patch=(32, 4), depth=1)
    report = loaded(saved(tmp_path, tensors), model)
    expected = resize_patches(tensors["patch_embed.proj.weight"].mean(1, keepdim=True), (32, 4))
    found = model.backbone.stem.proj.weight.detach()
    torch.testing.assert_close(found, expected.expand(-1, 3, -1, -1))
    note = dict(report.resized)["backbone.stem.proj.weight"]
    assert note == "3 channels averaged for 3, patches of 16 x 16 to 32 x 4"


def test_a_convolutional_stem_keeps_its_own_values(tmp_path):
    path = saved(tmp_path, published.weights(depth=1))
    model, untouched = detector(16, 9, patch=None, depth=1), detector(16, 9, patch=None, depth=1)
    report = loaded(path, model)
    for name, value in untouched.backbone.stem.state_dict().items():
        assert torch.equal(model.backbone.stem.state_dict()[name], value), name
    assert ("patch_embed.proj.weight", "this backbone has another stem") in report.skipped
    assert ("patch_embed.proj.bias", "this backbone has another stem") in report.skipped
    assert dict(report.resized)["backbone.pos_embed"] == "14 x 14 to 1 x 9, frequency-major"
    assert any(name.startswith("backbone.layers.0") for name in report.loaded)
