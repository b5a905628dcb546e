"""Weights of earlier runs."""

import pytest
import torch
from safetensors.torch import save_file

from fakesound.errors import InputError
from fakesound.models.stem import PatchStem
from fakesound.models.weights import fit_weights, read_weights

from .cases import detector, error_message, loaded


def settings(model):
    """Return the keys of a run that determine its tensors."""
    kind = "patch" if isinstance(model.backbone.stem, PatchStem) else "conv"
    stem = {"kind": kind, "patch": [16, 16], "stride": None}
    return {
        "backbone": {"order": model.backbone.order, "stem": stem},
        "features": {"kind": "logstft", "window": 512, "hop_ms": 10, "bins": 64},
        "data": {"sample_rate": 16_000},
    }


def of_run(**options):
    return detector(64, 6, dim=32, depth=2, order="time", **options)


def own(folder, form, model):
    """Save a detector in one of the supported formats."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    wrapped = {f"detector.{name}": value for name, value in state.items()}
    path = folder / form
    if form == "best.ckpt":
        held = wrapped | {"weighting.log_variances": torch.zeros(2)}
        torch.save({"state_dict": held, "epoch": 3, "hyper_parameters": settings(model)}, path)
    elif form == "plain.pt":
        torch.save(state, path)
    else:
        save_file(wrapped if form == "prefixed.safetensors" else state, path)
    return path


@pytest.mark.parametrize(
    "form", ["best.ckpt", "plain.pt", "prefixed.safetensors", "bare.safetensors"]
)
@pytest.mark.parametrize("stem", [(16, 16), None])
def test_a_run_of_ours_comes_back_whole(form, stem, tmp_path):
    before, after = of_run(patch=stem, seed=3), of_run(patch=stem, seed=4)
    before.features.mean += torch.arange(64)
    report = loaded(own(tmp_path, form, before), after)
    for name, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], value), name
    assert report.layout == "a run"
    assert set(report.loaded) == set(after.state_dict())
    assert report.left == report.resized == report.converted == ()


def test_a_run_with_other_crops_and_heads_gives_what_fits(tmp_path):
    path = own(tmp_path, "best.ckpt", of_run(seed=3))
    shorter = detector(64, 3, dim=32, order="frequency", heads=(True, False))
    report = loaded(path, shorter)
    assert dict(report.resized) == {"backbone.pos_embed": "4 x 6 to 4 x 3, frequency-major"}
    skipped = dict(report.skipped)
    assert skipped["detector.frame_head.proj.weight"] == "no such part here"
    assert skipped["weighting.log_variances"] == "not of the model"
    assert skipped["epoch"] == "not weights"
    assert "clip_head.tokens.weight" in report.loaded
    finer = detector(64, 24, dim=32, patch=(16, 4), order="time")
    report = loaded(path, finer)
    shapes = "its shape is [16, 32], here [4, 32]"
    assert ("detector.frame_head.proj.weight", shapes) in report.skipped
    assert ("frame_head.proj.weight", "the file's does not fit") in report.left
    assert dict(report.resized)["backbone.stem.proj.weight"] == "patches of 16 x 16 to 16 x 4"


def test_a_deeper_stem_starts_with_the_scores_of_the_run_that_it_grew_from(tmp_path):
    widths = {"widths": [4, 6, 8, 8]}
    before = of_run(seed=3, patch=None, **widths)
    path = own(tmp_path, "best.ckpt", before)
    grown = of_run(seed=4, patch=None, blocks=2, **widths)
    spectrogram = torch.randn(2, 3, 64, 12)
    assert not torch.allclose(
        before.backbone.forward_features(spectrogram)[0],
        grown.backbone.forward_features(spectrogram)[0],
        atol=1e-2,
    )
    report = loaded(path, grown)
    torch.testing.assert_close(
        before.backbone.forward_features(spectrogram)[0],
        grown.backbone.forward_features(spectrogram)[0],
    )
    assert len(report.converted) == 8
    assert set(dict(report.converted).values()) == {"zero in a new residual block"}
    # it is no dead end: the zeros have gradients
    grown.train().backbone.forward_features(spectrogram)[0].square().sum().backward()
    for name, _ in report.converted:
        assert not grown.get_parameter(name).any()
        assert grown.get_parameter(name).grad.any()
    # blocks that the file has are kept
    trained = own(tmp_path, "plain.pt", of_run(seed=5, patch=None, blocks=2, **widths))
    assert loaded(trained, grown).converted == ()


def test_statistics_of_other_features_are_not_taken(tmp_path):
    path = own(tmp_path, "best.ckpt", of_run(seed=3))
    model = of_run()
    model.features.kind = "logmel"
    report = loaded(path, model)
    assert ("detector.features.mean", "of other features") in report.skipped
    assert ("features.mean", "of this run's features") in report.left
    assert "features.mean" not in report.loaded


def test_a_run_whose_settings_are_unknown_needs_its_grid(tmp_path):
    path = own(tmp_path, "bare.safetensors", of_run(seed=3))
    shorter = detector(64, 3, dim=32, order="time")
    assert error_message(path, shorter).endswith(
        "is not known; give it as init.grid=[rows,columns]"
    )
    report = loaded(path, shorter, (4, 6))
    assert dict(report.resized)["backbone.pos_embed"].startswith("4 x 6 to 4 x 3")
    with pytest.raises(InputError, match=r"init\.grid=\[4, 5\]: .* has 24 position embeddings;"):
        fit_weights(read_weights(path), shorter, (4, 5))
