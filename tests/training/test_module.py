"""The module and the data module on forged recordings, without the command line."""

import copy
import json
from dataclasses import replace

import lightning
import numpy as np
import pytest
import torch

from fakesound.augmentation import CHANGES
from fakesound.config.compose import compose_config, run_config
from fakesound.data.dataset import collate
from fakesound.errors import InputError
from fakesound.evaluation.scorer import score_clips
from fakesound.forging.corpus import resolve_corpus
from fakesound.models.build import build_initial
from fakesound.models.heads import clip_logit
from fakesound.scoring.checkpoint import read_checkpoint
from fakesound.timeline import GRID
from fakesound.training.trainer import auto_precision, build_datamodule, build_module, build_trainer
from tests.models.weights import published

# without augmentation, so that twins compare
PLAIN = ("logger=disabled", *(f"data.augment.{name}=0" for name in CHANGES))


@pytest.fixture(scope="module")
def config(small):
    return run_config(compose_config([*small, *PLAIN]))


@pytest.fixture(scope="module")
def data(config):
    module = build_datamodule(config, resolve_corpus(config.data, config.split))
    module.prepare_data()
    module.setup()
    return module


def test_batches_pair_each_fake_with_its_twin(data):
    batch = next(iter(data.train_dataloader()))
    assert batch.clip_target.tolist() == [1, 0, 1, 0]
    assert batch.number.tolist() == [0, 1, 2, 3]
    for fake, twin in ((0, 1), (2, 3)):
        # a region may reach into the frame beside it
        near = torch.nn.functional.max_pool1d(batch.frame_target[fake][None], 3, 1, 1)[0]
        outside = (near == 0).repeat_interleave(320)
        assert outside.any()
        assert torch.equal(batch.waveform[fake][outside], batch.waveform[twin][outside])


def test_training_sees_neither_held_out_attack(data):
    attacks = {clip.attack for clip in data.train_crops.clips}
    assert attacks == {None, "inpainting/context_noise", "edit/copy_move"}
    assert {clip.attack for clip in data.validation_windows.clips} >= {"codec/adpcm"}
    assert "vocoder/quantised_phase" in {clip.attack for clip in data.test_windows.clips}


def test_training_starts_from_published_weights(small, data, tmp_path):
    tensors = published.weights(384, 2)
    torch.save({"model": tensors}, tmp_path / "vim.pth")
    chosen = ("backbone=vim_small", "backbone.depth=2", f"init.path={tmp_path / 'vim.pth'}")
    config = run_config(compose_config(["experiment=mt_vim", *small[1:], *PLAIN, *chosen]))
    initial = build_initial(config)
    for module in (
        build_module(config, data.train_crops),
        build_module(config, data.train_crops, initial),
    ):
        backbone = module.detector.backbone
        for name in ("layers.1.mixer.D_b", "layers.0.norm.weight", "norm_f.weight", "cls_token"):
            assert torch.equal(backbone.get_parameter(name), tensors[name]), name
        assert module.detector.features.mean.abs().sum() > 0
    assert initial.report.layout == "Vim"


def test_learning_lowers_the_loss_on_a_batch(config, data):
    module = build_module(config, data.train_crops)
    module.log_dict = lambda *_, **__: None
    batch = collate([data.train_crops[number] for number in range(8)])
    optimiser = torch.optim.Adam(module.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = module.training_step(batch, 0)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-3:]) < 0.7 * np.mean(losses[:3])


def test_crops_do_not_depend_on_workers_or_order(data):
    number = 7
    first = data.train_crops[number]
    data.train_crops[3]
    again = data.train_crops[number]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_scores_come_in_the_order_of_the_clips(config, data, tmp_path):
    module = build_module(config, data.train_crops)
    trainer = build_trainer(config, tmp_path, None)
    trainer.test(module, datamodule=data, verbose=False)
    clips = data.test_windows.clips
    assert [score.clip_id for score in module.scores] == [clip.clip_id for clip in clips]
    for score, clip in zip(module.scores, clips, strict=True):
        assert len(score.frame_scores) == GRID.count(clip.duration)
        assert score.regions == clip.regions
        assert score.fold == data.split.fold(clip)
        assert 0 <= score.score <= 1


def test_a_clip_of_one_window_has_the_score_of_the_detector(small, tmp_path):
    config = run_config(compose_config([*small, "logger=disabled", "data.window_seconds=2.0"]))
    data = build_datamodule(config, resolve_corpus(config.data, config.split))
    data.setup()
    module = build_module(config, data.train_crops)
    build_trainer(config, tmp_path, None).test(module, datamodule=data, verbose=False)
    batch = collate([data.test_windows[number] for number in range(4)])
    with torch.no_grad():
        output = module.eval()(batch.waveform)
    logits = clip_logit(output, batch.frame_mask)
    held = batch.frame_mask.sum(1).tolist()
    for number, score in enumerate(module.scores[:4]):
        assert score.logit == pytest.approx(float(logits[number]), abs=1e-4)
        frames = output["frame_logits"][number, : held[number]].sigmoid().numpy()
        assert np.allclose(score.frame_scores, frames, atol=1e-4)


ALL = ("heads=all", "heads.neck_depth=1", "epochs=1", "steps=2")


@pytest.fixture(scope="module")
def everything(small, tmp_path_factory):
    """Return a run of two steps with every head, its data, and the folder of its checkpoint."""
    folder = tmp_path_factory.mktemp("everything")
    # so that there are seen fakes in validation
    config = run_config(compose_config([*small, *PLAIN, *ALL, "split.inner_held_out=null"]))
    data = build_datamodule(config, resolve_corpus(config.data, config.split))
    data.prepare_data()
    data.setup()
    module = build_module(config, data.train_crops)
    trainer = build_trainer(config, folder, None)
    trainer.fit(module, datamodule=data)
    trainer.test(module, datamodule=data, verbose=False)
    return config, data, module, folder


def test_every_head_is_learned_and_logged(everything):
    config, _, module, folder = everything
    assert module.weighting.tasks == ["clip", "frame", "boundary", "attribution"]
    row = json.loads((folder / "epochs.jsonl").read_text())
    total = 0
    for task in module.weighting.tasks:
        assert row[f"train/{task}_loss"] > 0
        total += config.loss.weight(task) * row[f"train/{task}_loss"]
    assert row["train/loss"] == pytest.approx(total, rel=1e-4)
    assert 0 <= row["validation/boundary/ap"] <= 1
    assert 0 <= row["validation/attribution/accuracy"] <= 1
    assert "validation/attribution/families" not in row


def test_scores_hold_the_outputs_of_every_head(everything):
    _, data, module, folder = everything
    for score, clip in zip(module.scores, data.test_windows.clips, strict=True):
        assert len(score.boundary_scores) == GRID.count(clip.duration)
        assert set(score.family.scores) == {"codec", "edit", "inpainting"}
        assert sum(score.family.scores.values()) == pytest.approx(1)
    checkpoint = read_checkpoint(folder / "checkpoints" / "best.ckpt")
    assert checkpoint.heads.families == ("codec", "edit", "inpainting")
    assert set(checkpoint.heads.thresholds) == {"boundary", "energy"}
    clips = data.test_windows.clips[:3]
    again, _ = score_clips(
        checkpoint.detector(), clips, data.data.sample_rate, data.data.window_seconds
    )
    for one, other in zip(again, module.scores, strict=False):
        np.testing.assert_allclose(one.boundary_scores, other.boundary_scores, atol=1e-5)
        assert one.family.energy == pytest.approx(other.family.energy, abs=1e-4)
        assert one.logit == pytest.approx(other.logit, abs=1e-4)


def test_one_family_cannot_be_attributed(small, data):
    config = run_config(compose_config([*small, *PLAIN, *ALL]))
    crops = copy.copy(data.train_crops)
    crops.families = ["edit"]
    with pytest.raises(InputError, match=r"heads\.attribution=true: .* only edit"):
        build_module(config, crops)


def test_families_are_of_fake_crops_alone(data):
    batch = collate([data.train_crops[number] for number in range(40)])
    fake = batch.clip_target > 0
    assert data.train_crops.families == ["edit", "inpainting"]
    assert (batch.family[~fake] == -1).all()
    assert set(batch.family[fake].tolist()) == {0, 1}
    assert (data.test_windows[0].family, data.validation_windows[0].family) == (-1, -1)


def test_the_model_is_seeded(config, data):
    one, other = (build_module(config, data.train_crops).parameters() for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_value_that_lightning_does_not_take_is_named(config, tmp_path):
    wrong = replace(config, trainer={**config.trainer, "precision": "7-bit"})
    with pytest.raises(InputError, match=r"trainer: .*7-bit"):
        build_trainer(wrong, tmp_path, None)
    assert isinstance(build_trainer(config, tmp_path, None), lightning.Trainer)


@pytest.mark.parametrize(
    ("able", "expected"),
    [
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True, "avx512_bf16": False}, "bf16-mixed"),
        ({"avx512_bf16": False}, "32-true"),
        ({}, "32-true"),
    ],
)
def test_precision_follows_the_processor(monkeypatch, able, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert auto_precision() == expected
