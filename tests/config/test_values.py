"""Every key accepts its valid values on the command line, and no others."""

import dataclasses
import inspect
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from fakesound import config as schema
from fakesound.config import RunConfig, SplitConfig
from fakesound.config.compose import compose_config, keys_of, run_config
from fakesound.config.saved import flatten, from_plain
from fakesound.config.training import (
    KERNELS,
    TRAINER_ARGUMENTS,
)
from fakesound.errors import InputError

ROOT = Path(__file__).parents[2]
SECTIONS = [part for part in vars(schema).values() if dataclasses.is_dataclass(part)]


def config(*overrides):
    return run_config(compose_config(overrides))


def assert_rejected(*overrides, key):
    """Check that composition fails with one line that begins with the key."""
    with pytest.raises(InputError) as caught:
        config(*overrides)
    message = str(caught.value)
    assert message.startswith(key), message
    assert "\n" not in message


def test_the_default_composition_is_the_schema():
    assert config() == RunConfig()


# a value that is no default, where one more than the default, or its opposite, will not do
VALUES = {
    "name": "mine",
    "resume": "auto",
    "tags": ["a", "b"],
    "kernel": "reference",
    "calibration": "isotonic",
    "data.root": "somewhere",
    "data.extra": ["more"],
    "data.manifest": "m.jsonl",
    "data.train": ["a.jsonl"],
    "data.validation": ["b.jsonl"],
    "data.test": ["c.jsonl", "d.jsonl"],
    "data.shared_sources": "drop",
    "data.prepared": "elsewhere",
    "data.source": "folder",
    "data.on_bad_audio": "skip",
    "data.attacks": ["codec/*"],
    "data.crop.later_seconds": 4.0,
    "data.forge_workers": 3,
    "data.batch_size": 8,
    "split.name": "source_folds",
    "split.held_out": ["codec/gsm", "edit/*"],
    "split.inner_held_out": "edit/splice",
    "split.at_most": 3,
    "features.kind": "logmel",
    "features.level": -20.0,
    "features.hop_ms": 5,
    "features.bins": 128,
    "backbone.name": "own",
    "backbone.kind": "ssd",
    "backbone.variant": "v1",
    "backbone.order": "frequency",
    "backbone.stem.kind": "patch",
    "backbone.stem.channels": [8, 16],
    "backbone.stem.patch": [8, 32],
    "backbone.stem.stride": [8, 16],
    "heads.pooling": "max",
    "heads.neck": "mamba",
    "loss.weighting": "dwa",
    "loss.frame_loss": "dice",
    "init.path": "weights.pth",
    "init.grid": [8, 64],
    "logger.mode": "disabled",
    "logger.project": "other",
    "logger.entity": "team",
    "logger.group": "some",
    "logger.every_steps": 7,
    "logger.artifacts": False,
    "report.confidence": 0.8,
    "decision.false_alarms": 0.05,
    "decision.fake_time": 0.2,
    "trainer.accelerator": "cpu",
    "trainer.precision": "32-true",
}
# keys that exclude others or need them, each set in a composition of its own
APART = {
    "data.root": [],
    "data.extra": [],
    "data.manifest": [],
    "data.train": ["data.test=[x]"],
    "data.test": ["data.train=[x]"],
    "data.validation": ["data.train=[x]", "data.test=[x]"],
    "features.kind": [],
    "backbone.kind": [],
    "backbone.stem.kind": [],
    "backbone.tied_decay": [],
    "backbone.variant": [],
    "backbone.head_dim": ["backbone.kind=transformer", "backbone.dim=66"],
    "heads.clip": [],
    "heads.frame": [],
    "trainer.devices": [],
}
DEFAULTS = flatten(asdict(RunConfig()))


def another(key):
    """Return a value of the key that is not its default."""
    default = DEFAULTS[key]
    if key in VALUES or key.startswith("data.attack_weights."):
        return VALUES.get(key, "weights")
    if isinstance(default, bool):
        return not default
    return default + 1 if isinstance(default, int) else default / 2 if default else 0.25


def setting(key):
    value = another(key)
    text = f"[{','.join(map(str, value))}]" if isinstance(value, list) else str(value)
    return f"{key}={text.lower() if isinstance(value, bool) else text}"


def test_every_key_reaches_the_configuration():
    assert all(another(key) != default for key, default in DEFAULTS.items())
    together = [key for key in DEFAULTS if key not in APART]
    composed = flatten(asdict(config(*map(setting, together))))
    assert {key: composed[key] for key in together} == {key: another(key) for key in together}
    for key, others in APART.items():
        assert flatten(asdict(config(*others, setting(key))))[key] == another(key)


@pytest.mark.parametrize(
    ("override", "key", "value"),
    [
        ("data.crop.weights={vocoder/world:3}", "vocoder/world", 3),
        ("data.crop.weights={inpainting/*:2,edit/splice:0}", "inpainting/*", 2),
        ("data.crop.weights.codec/neural_rvq=0.5", "codec/neural_rvq", 0.5),
        ("+data.crop.weights.some=4", "some", 4),
    ],
)
def test_weights_take_any_attack_and_keep_the_others(override, key, value):
    weights = config(override).data.crop.weights
    assert weights[key] == value
    assert weights["separation/*"] == RunConfig().data.crop.weights["separation/*"]


@pytest.mark.parametrize("sign", ["", "+"])
def test_the_trainer_takes_any_argument_of_lightning(sign):
    assert config(f"{sign}trainer.max_time=00:01").trainer["max_time"] == "00:01"
    assert config("trainer={max_steps:3}").trainer["max_steps"] == 3


def test_arguments_of_the_trainer_are_those_of_lightning():
    from lightning import Trainer

    own = {"callbacks", "default_root_dir", "log_every_n_steps", "logger", "max_epochs"}
    own |= {"num_sanity_val_steps", "plugins", "strategy", "use_distributed_sampler"}
    assert set(TRAINER_ARGUMENTS) == set(inspect.signature(Trainer).parameters) - own


NAN = ".nan"
SHARES = [
    *(k for k in DEFAULTS if k.endswith("_share") and k.startswith(("data.crop.", "loss."))),
    *(k for k in DEFAULTS if k.startswith(("data.published.", "data.fake_augmentation."))),
    *(k for k in DEFAULTS if k.startswith("data.augment.") and not k.endswith("scale")),
    *("data.crop.later_from", "features.mask", "heads.dropout"),
    *("optim.warmup", "optim.final_lr_factor", "optim.ema"),
]
# by key, the values that are refused, separated by blanks
BAD = dict.fromkeys(SHARES, f"-0.1 1.1 {NAN}") | {
    "seed": "-1 true",
    "resume": "nosuch",
    "kernel": "nosuch",
    "calibration": "nosuch",
    "epochs": "0 1.5",
    "steps": "0",
    "checkpoint_steps": "0",
    "name": "null",
    "data.crop.seconds": f"0.19 -1 {NAN}",
    "data.crop.later_seconds": f"0.9 {NAN}",
    "data.crop.min_region_seconds": f"0.019 {NAN}",
    "data.crop.max_region_seconds": f"0.05 {NAN}",
    "data.crop.max_regions": "0",
    "data.crop.weights.codec/mp3": "-1",
    "data.augment": "null",
    "data.augment.scale": f"-0.1 {NAN}",
    "data.window_seconds": f"0.19 {NAN}",
    "data.shared_sources": "nosuch",
    "data.source": "nosuch",
    "data.on_bad_audio": "nosuch",
    "data.sample_rate": "7999",
    "data.clip_seconds": f"0.9 {NAN}",
    "data.attacks": "all",
    "data.train_attacks": "0",
    "data.evaluation_attacks": "0",
    "data.workers": "-1",
    "data.forge_workers": "0",
    "data.batch_size": "0 33 -2",
    "split.name": "nosuch",
    "split.held_out": "3 true [a/b,3] {a:1} null",
    "split.inner_held_out": "3 [[a/b]]",
    "split.seen_per_genuine": "0",
    "split.at_most": "0",
    "split.validation_share": f"0 1 {NAN}",
    "split.folds": "2",
    "split.fold": "5 -1",
    "split.seed": "-1",
    "features.kind": "nosuch",
    "features.hop_ms": "0 3 40",
    "features.bins": "7 257",
    "features.window": "63",
    "features.level": "-61 1",
    "features.floor": "0 2",
    "backbone.kind": "nosuch",
    "backbone.dim": "7",
    "backbone.depth": "0 three",
    "backbone.state": "0",
    "backbone.expand": "0",
    "backbone.head_dim": "0",
    "backbone.variant": "nosuch",
    "backbone.order": "nosuch",
    "backbone.drop_path": f"-0.1 1 {NAN}",
    "backbone.stem.kind": "nosuch",
    "backbone.stem.channels": "[] [0] 3 [8,a]",
    "backbone.stem.blocks": "-1",
    "backbone.stem.phase_width": "0",
    "backbone.stem.drop_power": "-0.1 1.1",
    "backbone.stem.drop_phase": "-0.1 1.1",
    "backbone.stem.patch": "[] [16] [16,0] [1,2,3]",
    "backbone.stem.stride": "[] [0,16]",
    "heads.clip": "perhaps",
    "heads.pooling": "nosuch",
    "heads.neck": "nosuch",
    "heads.neck_depth": "0",
    "loss.weighting": "nosuch",
    "loss.frame_loss": "nosuch",
    "loss.boundary": f"-0.1 {NAN}",
    "loss.attribution": f"-0.1 {NAN}",
    "loss.twin": f"-0.1 {NAN}",
    "loss.focal_gamma": f"-0.1 {NAN}",
    "loss.temperature": f"0 -1 {NAN}",
    "optim.lr": f"0 2 -1 fast {NAN}",
    "optim.weight_decay": f"-0.1 {NAN}",
    "init.path": "''",
    "init.grid": "[8,64] 8 [a,b]",
    "logger.mode": "nosuch",
    "logger.every_steps": "0",
    "logger.table_clips": "-1",
    "report.draws": "-1",
    "report.examples": "-1",
    "report.confidence": f"0.4 1 {NAN}",
    "decision.false_alarms": f"0 1 {NAN}",
    "decision.fake_time": f"0 1 {NAN}",
    "trainer.devices": "0 true some",
    "trainer.num_nodes": "0 1.5",
    "trainer.acelerator": "cpu",
}


@pytest.mark.parametrize("key", BAD)
def test_wrong_values_are_refused_with_their_key(key):
    for value in BAD[key].split():
        plain = yaml.safe_load(value)
        *sections, name = key.split(".", 3 if "weights" in key else -1)
        for part in (name, *reversed(sections)):
            plain = {part: plain}
        with pytest.raises(InputError) as caught:
            from_plain(plain)
        assert str(caught.value).startswith(key), value
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "override",
    [
        *("backbone.depth=three", "epochs=1.5", "seed=true", "heads.clip=perhaps", "optim.lr=fast"),
        *("data.attacks=all", "backbone.stem.channels=3", "name=null", "data.augment=null"),
        *("name=../../a", "name=''", f"seed={2**63}"),
        *("name=${nosuch}", "optim.lr=2", "data.batch_size=3", "init.path=''", "init.grid=[a,b]"),
    ],
)
def test_the_command_line_refuses_them_too(override):
    assert_rejected(override, key=override.partition("=")[0])


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["split=official", "split.held_out=codec/gsm"], "split.held_out=codec/gsm"),
        (["split=leave_one_family_out", "split.held_out=[]"], "split.held_out"),
        (["split.folds=6", "split.fold=6"], "split.fold=6"),
        (["data.root=a", "data.manifest=b"], "data.root and data.manifest"),
        (["data.root=a", "data.train=[b]", "data.test=[b]"], "data.root and data.train"),
        (["data.extra=[a]", "data.manifest=b"], "data.extra and data.manifest"),
        (["data.train=[a]"], "data.test"),
        (["data.validation=[a]"], "data.train"),
        (["heads.clip=false", "heads.frame=false"], "heads.clip and heads.frame"),
        (["heads=frame", "heads.pooling=max"], "heads.pooling=max"),
        (["heads=clip", "heads.neck=mamba"], "heads.neck=mamba"),
        (["heads=clip", "loss.frame_share=1"], "loss.frame_share=1"),
        (["heads=frame", "loss.frame_share=0"], "loss.frame_share=0"),
        (["init.path=a", "init.grid=[8,0]"], "init.grid=[8, 0]"),
        (["init.path=a", "init.grid=[8]"], "init.grid=[8]"),
        (["trainer.devices=3"], "data.batch_size=32"),
        (["features=logmel", "features.phase=true"], "features.phase=true"),
        (["backbone=vim_tiny", "backbone.stem.statistics=true"], "backbone.stem.statistics=true"),
        (["backbone.stem.drop_power=.6", "backbone.stem.drop_phase=.6"], "backbone.stem.drop_"),
        (["split=decoder_folds", "split.held_out=a/b"], "split.held_out=a/b"),
        (["backbone=fcn_resnet", "backbone.order=frequency"], "backbone.order=frequency"),
    ],
)
def test_values_that_contradict_each_other_are_refused(overrides, key):
    assert_rejected(*overrides, key=key)


def test_choices_are_those_of_the_parts():
    from fakesound.models.scan.kernels import KERNELS as SCANS

    assert {"auto", "reference", *SCANS} == set(KERNELS)


def test_attacks_held_out_become_a_list():
    split = SplitConfig(held_out="inpainting/*", inner_held_out=["a/b", "c/d"])
    assert split.patterns("held_out") == ["inpainting/*"]
    assert split.patterns("inner_held_out") == ["a/b", "c/d"]
    assert SplitConfig(inner_held_out=None).patterns("inner_held_out") == []


def test_manifests_are_listed_by_their_key():
    assert config("data.root=a").data.manifests() == {}
    assert config("data.manifest=a").data.manifests() == {"manifest": ["a"]}
    found = config("data.train=[a,b]", "data.test=[b]").data.manifests()
    assert found == {"train": ["a", "b"], "test": ["b"]}


def test_weights_of_tasks():
    assert config("heads=all").task_weights() == pytest.approx(
        {"clip": 0.3, "frame": 0.7, "boundary": 0.3, "attribution": 0.1}
    )
    assert config("heads=clip", "loss.frame_share=0.4").task_weights()["frame"] == 0


def test_sections_share_no_mutable_value():
    one, other = RunConfig(), RunConfig()
    for section in (one.tags, one.data.attacks, one.backbone.stem.channels):
        section.append("x")
    for section in (one.data.crop.weights, one.trainer):
        assert isinstance(section, Mapping)
        section["x"] = 1
    assert other == RunConfig()


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.__name__)
def test_every_key_is_explained(section):
    own = {field.name for field in dataclasses.fields(section)}
    unexplained = {key for key, _, meaning in keys_of(section()) if not meaning}
    assert unexplained & own == set()
