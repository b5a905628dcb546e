"""Files that cannot be loaded, and the one-line error of each."""

import os
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from . import published
from .cases import detector, error_message, loaded, original, saved


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"dim": 384},
            "its backbone has dim 192, yours has 384; use backbone=vim_tiny, or backbone.dim=192",
        ),
        (
            {"dim": 96},
            "its backbone has dim 192, yours has 96; use backbone=vim_tiny, or backbone.dim=192",
        ),
        ({"variant": "v1"}, "its backbone has variant v2, yours has v1; use backbone.variant=v2"),
        ({"state": 8}, "its backbone has state 16, yours has 8; use backbone.state=16"),
        (
            {"tied_decay": True},
            "its backbone has tied_decay False, yours has True; use backbone.tied_decay=false",
        ),
        ({"expand": 1}, "its backbone has expand 2, yours has 1; use backbone.expand=2"),
    ],
)
def test_the_error_of_another_backbone_names_the_choice(options, words, tmp_path):
    path = saved(tmp_path, published.weights(depth=1))
    assert error_message(path, detector(depth=1, **options)) == f"init.path={path}: {words}"


def test_weights_of_fobi_are_not_copied_to_both_directions(tmp_path):
    torch.save(published.aum(depth=1), tmp_path / "aum.pth")
    message = error_message(tmp_path / "aum.pth", detector(128, 64, depth=1))
    assert message.endswith("its backbone has variant v1, yours has v2; use backbone.variant=v1")


def test_an_uncommon_width_is_named(tmp_path):
    path = saved(tmp_path, published.weights(64, 1))
    assert error_message(path).endswith("has dim 64, yours has 192; use backbone.dim=64")


def changed(change):
    """Return weights of Vim with one unsuitable change."""
    tensors = published.weights(depth=2)
    change(tensors)
    return tensors


def ssamba(tensors):
    for name in list(tensors):
        tensors[f"module.v.{name}"] = tensors.pop(name)
    tensors["module.v.norm_f.bias"] = torch.zeros(192)
    tensors["module.cpredlayer.0.weight"] = torch.zeros(256, 192)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (ssamba, "SSAMBA runs its layers in pairs, with LayerNorm"),
        (lambda t: t.update({"layers.0.norm.bias": torch.zeros(192)}), "by LayerNorm"),
        (lambda t: t.update(cls_token_head=torch.zeros(1, 1, 192)), "class tokens at both ends"),
        (lambda t: t.pop("layers.1.mixer.D"), "layers.1.mixer.D is missing"),
        (lambda t: t.pop("layers.0.mixer.x_proj.weight"), "(no matrix x_proj.weight)"),
        (
            lambda t: t.update({"layers.1.mixer.conv1d_s.weight": torch.zeros(384, 1, 4)}),
            "layers.1.mixer.conv1d_s.weight has no counterpart",
        ),
        (
            lambda t: t.update({"layers.0.mixer.conv1d.weight": torch.zeros(384, 1, 3)}),
            "mixer.conv1d.weight is [384, 1, 3], here [384, 1, 4]",
        ),
        (lambda t: t["norm_f.weight"].fill_(float("nan")), "norm_f.weight holds values that are"),
        (
            lambda t: t.update(pos_embed=torch.zeros(1, 197, 10)),
            "backbone.pos_embed is [1, 197, 10]",
        ),
        (lambda t: t.update(pos_embed=torch.zeros(1, 200, 192)), "grid of its 199 position"),
        (lambda t: [t.pop(n) for n in list(t) if "layers" in n], "holds no Vision Mamba layers"),
    ],
)
def test_unsuitable_weights_are_refused_in_one_line(change, words, tmp_path):
    assert words in error_message(saved(tmp_path, changed(change)))


def test_the_grid_of_others_can_be_given(tmp_path):
    path = saved(tmp_path, published.weights(depth=1, places=10 * 21))
    assert "init.grid=[rows,columns]" in error_message(path, detector(depth=1))
    report = loaded(path, detector(depth=1), (10, 21))
    assert dict(report.resized)["backbone.pos_embed"].startswith("10 x 21 to 14 x 14")


def test_the_original_project_has_280_bins_and_1000_windows(tmp_path):
    _, path = original(tmp_path, (14, 50), tell=False)
    report = loaded(path, detector(40, 5, patch=(20, 20)))
    assert dict(report.resized)["backbone.pos_embed"].startswith("14 x 50 to 2 x 5")
    _, path = original(tmp_path, (7, 100), tell=True)
    assert "grid of its 700 position" in error_message(path, detector(40, 5, patch=(20, 20)))


class Harm:
    """Object whose unpickling runs code."""

    def __reduce__(self):
        return (os.mkdir, ("harmed",))


def test_files_run_no_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, published.weights(32, 1), args=Harm())
    message = error_message(path)
    assert "would run code (posix.mkdir)" in message or "would run code (nt.mkdir)" in message
    assert not (tmp_path / "harmed").exists()


def whole(path):
    return torch.save({"model": published.weights(32, 1)}, path)


def cut_short(path):
    whole(path)
    path.write_bytes(path.read_bytes()[:-2000])


def cut_safetensors(path):
    save_file({"backbone.stem.proj.weight": torch.zeros(100, 100)}, path)
    path.write_bytes(path.read_bytes()[:-2000])


def another_archive(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no weights")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: None, "no such file; check the path"),
        (lambda path: path.mkdir(), "no such file; check the path"),
        (lambda path: path.write_bytes(b""), "is not a file of weights"),
        (lambda path: path.write_text("<html>sign in first</html>"), "is not a file of weights"),
        (lambda path: path.write_bytes(bytes(range(256)) * 16), "is not a file of weights"),
        (cut_short, "is not a file of weights, or cut short; download it again"),
        (cut_safetensors, "is damaged or cut short; download it again"),
        (another_archive, "is not a file of weights"),
        (lambda path: torch.save([torch.zeros(3)], path), "holds a list, not weights by name"),
        (lambda path: torch.save(torch.zeros(3), path), "holds a Tensor, not weights by name"),
        (lambda path: torch.save({"epoch": 3}, path), "holds no weights"),
        (lambda path: torch.save({"a": torch.zeros(3)}, path), "holds no Vision Mamba layers"),
    ],
)
def test_files_without_weights_are_refused_in_one_line(make, words, tmp_path):
    path = tmp_path / "file.pth"
    make(path)
    assert words in error_message(path)


def test_an_unreadable_file_is_named(tmp_path):
    path = saved(tmp_path, {"a": torch.zeros(1)})
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user reads everything")
    assert "cannot be read (Permission denied); check its permissions" in error_message(path)
