from dataclasses import replace
from pathlib import Path

import pytest

from fakesound.errors import InputError
from fakesound.report.parts import Value
from fakesound.report.settings import (
    best_on_validation,
    fold_shown,
    label_of,
    reference_of,
    settings_of,
)
from fakesound.report.sweep import SweepRow, differing_keys

BARE = SweepRow(
    name="run",
    folder=Path(),
    overrides={},
    config={},
    held_out="vocoder/world",
    seed=0,
    fold=None,
    figures={
        f"{part}/{key}": Value(None)
        for part in ("unseen", "seen")
        for key in ("clip/auc", "segment_f1_20ms")
    },
    attacks={},
    all_fake_f1=None,
    objective=None,
    judged_by=("clip/auc",),
    parameters=None,
    seconds=0.0,
    step_seconds=None,
)


def row(auc=None, **changes):
    figures = dict(BARE.figures) | {"unseen/clip/auc": Value(auc)}
    return replace(BARE, figures=figures, **changes)


def test_runs_that_differ_in_seed_or_attack_are_one_setting():
    rows = [row(overrides={"optim.lr": 1}, seed=s, held_out=a) for s in (0, 1) for a in "ab"]
    (setting,) = settings_of(rows)
    assert (setting.label, len(setting.rows)) == ("lr 1", 4)


def test_of_several_runs_the_median_with_the_range_is_given():
    (setting,) = settings_of([row(auc=auc, seed=n) for n, auc in enumerate((0.9, 0.5, 0.6))])
    assert setting.median("unseen/clip/auc") == Value(0.6, (0.5, 0.9))


def test_of_one_run_its_interval_is_given():
    one = replace(BARE, figures=dict(BARE.figures) | {"unseen/clip/auc": Value(0.6, (0.4, 0.7))})
    (setting,) = settings_of([one])
    assert setting.median("unseen/clip/auc") == Value(0.6, (0.4, 0.7))


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        ({}, "every run"),
        ({"backbone.name": "vim_micro", "optim.lr": 0.00123456}, "vim_micro, lr 0.001235"),
        ({"loss.weighting": "fixed", "loss.clip": 0.5}, "fixed, loss.clip 0.5"),
        ({"heads.clip": True, "heads.frame": False}, "clip, no frame"),
        ({"backbone.stem.patch": [16, 8]}, "patch 16\N{MULTIPLICATION SIGN}8"),
    ],
)
def test_a_setting_is_named_by_what_differs(overrides, label):
    assert label_of(row(overrides=overrides)) == label


def test_what_did_best_on_validation_is_best_whatever_the_test_says():
    rows = [
        row(auc=0.9, overrides={"optim.lr": 1}, objective=0.5),
        row(auc=0.1, overrides={"optim.lr": 2}, objective=0.6),
    ]
    assert best_on_validation(settings_of(rows)).label == "lr 2"


def test_there_is_no_best_among_what_is_judged_by_different_figures():
    rows = [
        row(overrides={"heads.frame": True}, objective=0.5, judged_by=("clip/auc", "frame/auc")),
        row(overrides={"heads.frame": False}, objective=0.6, judged_by=("clip/auc",)),
    ]
    assert best_on_validation(settings_of(rows)) is None


def test_the_default_is_the_reference_unless_another_is_named():
    rows = [
        row(overrides={"optim.lr": lr, "backbone.name": name}) for lr in (0.1, 0.2) for name in "ab"
    ]
    settings = settings_of(rows)
    defaults = {"optim.lr": 0.2, "backbone.name": "a"}
    assert reference_of(settings, None, defaults).label == "lr 0.2, a"
    assert reference_of(settings, "optim.lr=0.1,backbone.name=b", defaults).label == "lr 0.1, b"
    lists = settings_of([row(overrides={"a.patch": [16, n]}) for n in (8, 16)])
    assert reference_of(lists, "a.patch=[16,16]", {}).overrides == {"a.patch": [16, 16]}
    for wanted, words in (
        ("optim.lr=0.3,backbone.name=a", "no run has it"),
        ("optim.lr=0.1", "2 settings have it; choose one of lr 0.1, a; lr 0.1, b"),
        ("seed=1", "differ in optim.lr, backbone.name"),
        ("optim.lr", "give KEY=VALUE"),
    ):
        with pytest.raises(InputError, match=words):
            reference_of(settings, wanted, defaults)


def test_seen_attacks_are_shown_where_none_is_unseen():
    assert fold_shown([row()]) == "seen"
    assert fold_shown([row(), row(auc=0.5)]) == "unseen"


def config(name, dim, depth, clip=0.3, weighting="fixed"):
    return {
        "seed": 0,
        "name": f"run {name}",
        "split": {"held_out": name, "fold": dim},
        "backbone": {"name": name, "kind": name[:1], "dim": dim, "depth": depth},
        "loss": {"weighting": weighting, "clip": clip},
    }


@pytest.mark.parametrize(
    ("configs", "keys"),
    [
        # the name of a backbone says its kind and size
        ([config("a", 1, 1), config("b", 1, 2), config("c", 2, 2)], ["backbone.name"]),
        # but not where the same one comes in several depths
        ([config("a", 1, 1), config("a", 1, 2)], ["backbone.depth"]),
        (
            [config("a", 1, 1), config("a", 1, 2), config("b", 1, 1), config("b", 1, 2)],
            ["backbone.name", "backbone.depth"],
        ),
        # fixed weights have several balances
        (
            [
                config("a", 1, 1, 0.3),
                config("a", 1, 1, 0.5),
                config("a", 1, 1, 0.5, "dwa"),
            ],
            ["loss.weighting", "loss.clip"],
        ),
        # what always changes together has one column
        ([config("a", 1, 1), config("a", 2, 2)], ["backbone.dim"]),
    ],
)
def test_the_fewest_keys_that_tell_runs_apart_are_named(configs, keys):
    assert differing_keys(configs) == keys
