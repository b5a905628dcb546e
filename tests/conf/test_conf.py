"""Every file in conf/ can be chosen and is valid."""

import re
from dataclasses import asdict
from functools import cache

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep
from omegaconf import OmegaConf

from fakesound.attacks import ATTACKS, BUILT_IN
from fakesound.config import RunConfig
from fakesound.config.checks import match_globs
from fakesound.config.compose import compose_config, configuration_folder, run_config
from fakesound.config.saved import flatten
from fakesound.forging.corpus import held_out_attacks

CONF = configuration_folder()
FILES = sorted(path.relative_to(CONF).with_suffix("") for path in CONF.glob("*/*.yaml"))
# values that the tests or the reader need to see
ALONE = {"experiment=smoke", "ablation=frames_only"}
GLOBAL = ("system", "experiment", "ablation", "sweep")
CHOICES = [f"{path.parent.name}={path.name}" for path in FILES]


def choices(*groups):
    return [choice for choice in CHOICES if choice.partition("=")[0] in groups]


@cache
def composed(choice):
    return compose_config([choice], with_hydra=choice.startswith("sweep="))


@cache
def config_of(choice):
    return run_config(composed(choice))


def sweep_of(choice):
    """Return the values of each key of a sweep, or the ends of its interval."""
    params = OmegaConf.to_container(composed(choice).hydra.sweeper.params, resolve=True)
    texts = [f"{key}={values}" for key, values in params.items()]
    result = {}
    for override in OverridesParser.create().parse_overrides(texts):
        value = override.value()
        ends = [str(value.start), str(value.end)] if isinstance(value, IntervalSweep) else None
        result[override.get_key_element()] = ends or list(override.sweep_string_iterator())
    return result


@pytest.mark.parametrize("choice", CHOICES)
def test_the_values_of_a_choice_are_applied(choice):
    group, _, name = choice.partition("=")
    whole = OmegaConf.create(OmegaConf.to_container(OmegaConf.structured(config_of(choice))))
    within = whole if group in GLOBAL else whole[group]
    content = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml")) or {}
    for key, value in content.items():
        if key not in ("defaults", "hydra"):
            expected = OmegaConf.merge({key: within[key]}, {key: value})
            assert within[key] == expected[key], key


@pytest.mark.parametrize("choice", [choice for choice in CHOICES if choice not in ALONE])
def test_a_choice_holds_differences_only(choice):
    group, _, name = choice.partition("=")
    values = OmegaConf.to_container(OmegaConf.load(CONF / group / f"{name}.yaml")) or {}
    values = {key: value for key, value in values.items() if key not in ("defaults", "hydra")}
    if group not in GLOBAL:
        values = {group: values}
    default = flatten(asdict(RunConfig()))
    repeated = {k: v for k, v in flatten(values).items() if k in default and default[k] == v}
    assert not repeated


@pytest.mark.parametrize("choice", choices("experiment", "sweep", "backbone"))
def test_a_choice_has_the_name_of_its_file(choice):
    group, _, name = choice.partition("=")
    run = config_of(choice)
    assert name == (run.backbone.name if group == "backbone" else run.name)


@pytest.mark.parametrize("choice", choices("experiment", "split", "sweep"))
def test_held_out_attacks_exist_and_others_remain_for_training(choice):
    run = config_of(choice)
    attacks = match_globs("data.attacks", run.data.attacks, BUILT_IN, "attack")
    held_out, inner = held_out_attacks(run.split, attacks)
    assert not set(held_out) & set(inner)
    assert set(attacks) - {*held_out, *inner}


@pytest.mark.parametrize("choice", choices("sweep"))
def test_each_key_of_a_sweep_takes_its_values(choice):
    for key, values in sweep_of(choice).items():
        assert len(values) == len(set(values)) > 1
        for value in values:
            # with the values that the sweep itself sets
            assert run_config(compose_config([choice, f"{key}={value}"]))
            assert "." in key or key == "seed" or f"{key}={value}" in CHOICES


def test_the_sweep_over_weights_runs_from_one_task_alone_to_the_other():
    shares = [float(share) for share in sweep_of("sweep=loss_weighting")["loss.frame_share"]]
    assert shares == [1, 0.9, 0.7, 0.5, 0.3, 0.1, 0]
    assert config_of("loss=fixed").loss.frame_share in shares


def test_patches_of_the_sweep_over_token_orders_have_one_area():
    order, patches = sweep_of("sweep=token_order").values()
    assert sorted(order) == ["frequency", "time"]
    sizes = [OmegaConf.create(patch) for patch in patches]
    assert {height * width for height, width in sizes} == {256}
    assert config_of("sweep=token_order").backbone.stem.kind == "patch"


def test_the_sweep_over_attacks_leaves_out_each_of_them():
    held_out, control = sweep_of("sweep=leave_one_attack_out").values()
    assert sorted(held_out) == sorted(BUILT_IN)
    # the control first, so that the report of the other run finds it
    assert control == ["True", "False"]


def test_the_sweep_over_families_leaves_out_each_of_them():
    assert config_of("sweep=leave_one_family_out").split.name == "leave_one_family_out"
    held_out, control = sweep_of("sweep=leave_one_family_out").values()
    assert control == ["True", "False"]
    assert sorted(held_out) == sorted({attack.family for attack in ATTACKS.values()})


def test_the_sweep_over_folds_tests_each_of_them():
    split = config_of("sweep=source_folds").split
    assert split.name == "source_folds"
    assert sweep_of("sweep=source_folds") == {"split.fold": list(map(str, range(split.folds)))}


@pytest.mark.parametrize("choice", choices("data"))
def test_manifests_of_published_corpora_lie_where_they_are_prepared(choice):
    name = choice.partition("=")[2]
    manifests = [path for paths in config_of(choice).data.manifests().values() for path in paths]
    if name not in ("embedded", "cross_corpus"):
        assert manifests == [f"prepared/{name}/manifest.jsonl"]
    for path in manifests:
        folder, corpus, file = path.split("/")
        assert (folder, file) == ("prepared", "manifest.jsonl")
        assert f"data={corpus}" in CHOICES
        assert re.search(rf"prepare.* {corpus}\b", (CONF / "data" / f"{name}.yaml").read_text())


@pytest.mark.parametrize(("name", "dim"), [("tiny", 192), ("small", 384), ("base", 768)])
def test_backbones_with_published_names_have_published_sizes(name, dim):
    backbone = config_of(f"backbone=vim_{name}").backbone
    assert (backbone.dim, backbone.depth, backbone.expand, backbone.state) == (dim, 24, 2, 16)
    assert (backbone.variant, backbone.class_token) == ("v2", True)
    assert list(backbone.stem.patch) == [16, 16]
