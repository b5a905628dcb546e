from dataclasses import replace
from pathlib import Path

import pytest

from fakesound.errors import InputError
from fakesound.metrics import paired_differences, read_scores, subsets, write_scores
from fakesound.report.run_results import Value
from fakesound.report.sweep import KEYS, Run, Sweep, differing_keys, read_sweep
from fakesound.report.sweep_figures import (
    attack_matrices,
    balance_figure,
    frame_share,
    matrix_figure,
    settings_figure,
    size_figure,
)
from fakesound.report.sweep_pairs import setting_pairs
from tests.run_factory import edit_json, make_run, weakened

BARE = Run(
    name="run",
    folder=Path(),
    overrides={},
    config={},
    held_out="vocoder/world",
    seed=0,
    fold=None,
    values={f"{part}/{key}": Value(None) for part in ("unseen", "seen") for key in KEYS},
    attacks={},
    all_fake_f1=None,
    objective=None,
    objective_keys=("clip/auc",),
    parameters=None,
    seconds=0.0,
    step_seconds=None,
)


def one(auc=None, interval=None, **changes):
    values = {**BARE.values, "unseen/clip/auc": Value(auc, interval)}
    return replace(BARE, values=values, **changes)


def sweep(*runs):
    return Sweep("sweep", runs)


def test_runs_that_differ_in_seed_or_attack_are_one_setting():
    runs = [one(overrides={"optim.lr": 1}, seed=s, held_out=a) for s in (0, 1) for a in "ab"]
    (setting,) = sweep(*runs).settings
    assert (setting.label, len(setting.runs)) == ("optim.lr=1", 4)
    assert [(each.label, len(each.runs)) for each in sweep(*runs).attacks] == [("a", 2), ("b", 2)]


def test_several_runs_have_a_median_and_a_range_and_one_run_its_interval():
    (setting,) = sweep(*(one(auc, seed=n) for n, auc in enumerate((0.9, 0.5, 0.6)))).settings
    assert setting.median("unseen/clip/auc") == Value(0.6, (0.5, 0.9))
    (setting,) = sweep(one(0.6, (0.4, 0.7))).settings
    assert setting.median("unseen/clip/auc") == Value(0.6, (0.4, 0.7))


@pytest.mark.parametrize(
    ("overrides", "label"),
    [
        ({}, "all runs"),
        ({"backbone.name": "vim_micro", "optim.lr": 0.00123456}, "vim_micro, optim.lr=0.001235"),
        ({"loss.weighting": "fixed", "loss.twin": 0.5}, "fixed, loss.twin=0.5"),
        ({"heads.clip": True, "heads.frame": False}, "heads.clip=true, heads.frame=false"),
    ],
)
def test_a_setting_is_named_by_what_differs(overrides, label):
    assert one(overrides=overrides).label == label


def test_the_best_setting_is_chosen_on_validation():
    runs = [
        one(0.9, overrides={"optim.lr": 1}, objective=0.5),
        one(0.1, overrides={"optim.lr": 2}, objective=0.6),
    ]
    assert sweep(*runs).best().label == "optim.lr=2"
    other = replace(runs[0], objective_keys=("clip/auc", "frame/auc"))
    assert sweep(other, runs[1]).best() is None
    assert sweep(runs[0]).best() is None


def test_the_default_is_the_reference_unless_another_is_named():
    runs = [
        one(overrides={"optim.lr": lr, "backbone.name": name}) for lr in (0.1, 0.2) for name in "ab"
    ]
    defaults = {"optim.lr": 0.2, "backbone.name": "a"}
    assert sweep(*runs).reference(None, defaults).label == "optim.lr=0.2, a"
    named = sweep(*runs).reference("optim.lr=0.1,backbone.name=b", defaults)
    assert named.label == "optim.lr=0.1, b"
    lists = sweep(*(one(overrides={"a.patch": [16, n]}) for n in (8, 16)))
    assert lists.reference("a.patch=[16,16]", {}).runs[0].overrides == {"a.patch": [16, 16]}
    for wanted in ("optim.lr=0.3,backbone.name=a", "optim.lr=0.1", "seed=1", "optim.lr"):
        with pytest.raises(InputError, match=f"--reference={wanted}"):
            sweep(*runs).reference(wanted, defaults)


def test_seen_attacks_count_if_none_is_unseen():
    assert sweep(one()).part == "seen"
    assert sweep(one(), one(0.5)).part == "unseen"


def config(name, dim, depth, share=0.3, weighting="fixed"):
    return {
        "seed": 0,
        "name": f"run {name}",
        "split": {"held_out": name, "fold": dim},
        "backbone": {"name": name, "kind": name[:1], "dim": dim, "depth": depth},
        "loss": {"weighting": weighting, "frame_share": share},
    }


@pytest.mark.parametrize(
    ("configs", "keys"),
    [
        # kind and size follow from the name of a backbone
        ([config("a", 1, 1), config("b", 1, 2), config("c", 2, 2)], ["backbone.name"]),
        # unless it comes in several depths
        ([config("a", 1, 1), config("a", 1, 2)], ["backbone.depth"]),
        (
            [config("a", 1, 1), config("a", 1, 2), config("b", 1, 1), config("b", 1, 2)],
            ["backbone.name", "backbone.depth"],
        ),
        # fixed weights have several balances
        (
            [config("a", 1, 1), config("a", 1, 1, 0.5), config("a", 1, 1, 0.5, "dwa")],
            ["loss.weighting", "loss.frame_share"],
        ),
        # keys that always change together have one column
        ([config("a", 1, 1), config("a", 2, 2)], ["backbone.depth"]),
    ],
)
def test_the_fewest_distinguishing_keys_are_named(configs, keys):
    assert differing_keys(configs) == keys


@pytest.fixture(scope="module")
def balances(tmp_path_factory):
    """Return runs with fixed balances and with learned weights on the same clips."""
    folder = tmp_path_factory.mktemp("balances")
    for number, share in enumerate((0.0, 0.5, 1.0, None)):
        changes = {"loss.frame_share": share or 0.0}
        changes["loss.weighting"] = "fixed" if share is not None else "uncertainty"
        place = make_run(folder / str(number), changes=changes, sources=4)
        auc = 0.6 + number / 10

        def change(metrics, number=number, auc=auc):
            metrics["provenance"]["parameters"] = 1000 * (number + 1)
            metrics["test"]["unseen"]["clip/auc"] = auc

        edit_json(place / "metrics.json", change)
    return read_sweep([folder])


@pytest.fixture(scope="module")
def left_out(tmp_path_factory):
    """Return runs of two backbones with each of two attacks held out."""
    folder = tmp_path_factory.mktemp("left_out")
    for held_out in ("vocoder/world", "codec/gsm"):
        for name in ("vim", "cnn"):
            place = folder / f"{held_out[:4]},{name}"
            make_run(place, changes={"backbone.name": name}, held_out=held_out, sources=4)
    return read_sweep([folder])


def dots(axes):
    return [x for line in axes.lines if line.get_marker() == "o" for x in line.get_xdata()]


def test_settings_are_rows_and_their_values_dots(left_out):
    figure = settings_figure(left_out)
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["cnn", "vim"]
    medians = [each.median("unseen/clip/auc").value for each in left_out.settings]
    assert dots(figure.axes[0])[:2] == medians
    one_backbone = replace(left_out, runs=[replace(r, overrides={}) for r in left_out.runs[:1]])
    alone = replace(one_backbone, runs=[*one_backbone.runs, replace(one(0.7), held_out="a/b")])
    rows = [text.get_text() for text in settings_figure(alone).axes[0].get_yticklabels()]
    assert rows[:2] == ["a", "b"]


def test_a_matrix_has_every_attack_or_the_held_out_ones(balances, left_out):
    auc, frame_auc, f1 = attack_matrices(left_out)
    assert auc.attacks == ["codec/gsm", "vocoder/world"]
    assert auc.settings == ["cnn", "vim"]
    (run,) = [r for r in left_out.runs if (r.held_out, r.label) == ("codec/gsm", "vim")]
    assert auc.values[0, 1] == run.values["unseen/clip/auc"].value
    assert (frame_auc.key, f1.key) == ("frame/auc", "segment_f1_20ms")
    auc, *_ = attack_matrices(balances)
    assert auc.attacks == ["codec/gsm", "edit/splice", "vocoder/world"]
    block = balances.runs[2].attacks["edit/splice"]
    assert auc.values[1, 2] == block["clip/auc"]
    texts = [text.get_text() for text in matrix_figure([auc]).axes[0].texts]
    assert f"{block['clip/auc']:.2f}" in texts
    assert matrix_figure([]) is None


def test_the_balance_runs_from_one_loss_to_the_other(balances):
    lines = {line.get_label(): line for line in balance_figure(balances).axes[0].lines}
    assert list(lines["fixed"].get_xdata()) == [0.0, 0.5, 1.0]
    assert list(lines["fixed"].get_ydata()) == pytest.approx([0.6, 0.7, 0.8])
    assert list(lines["uncertainty"].get_ydata()) == pytest.approx([0.9, 0.9])
    assert balance_figure(sweep(*balances.runs[:2])) is None


def test_one_loss_alone_has_no_balance():
    config = {"loss.weighting": "fixed", "loss.frame_share": 0.75}
    assert frame_share(one(config=config)) == 0.75
    assert frame_share(one(config=config | {"heads.frame": False})) is None


def test_size_is_shown_if_it_differs(balances, left_out):
    figure = size_figure(balances)
    assert sorted(dots(figure.axes[0])) == [1000, 2000, 3000, 4000]
    assert size_figure(left_out) is None


@pytest.fixture
def pair(tmp_path):
    """Return two settings on the same clips, the second with weaker scores."""

    def make(sources, **changes):
        first, second = (
            make_run(tmp_path / name, changes={"optim.lr": lr} | extra, sources=sources)
            for name, lr, extra in (("a", 1, {}), ("b", 2, changes))
        )
        write_scores(second / "scores.jsonl", weakened(read_scores(first / "scores.jsonl"), 2))
        return read_sweep([tmp_path]), first, second

    return make


def test_a_pair_is_the_paired_difference_on_unseen_clips(pair):
    sweep_of_pair, first, second = pair(20)
    one, other = setting_pairs(sweep_of_pair, sweep_of_pair.settings[0], 50)
    assert (one.setting, one.other, one.pairs) == ("optim.lr=2", "optim.lr=1", 1)
    scores = [subsets(read_scores(f / "scores.jsonl")).unseen for f in (second, first)]
    expected = paired_differences(*scores, 50)
    for key in ("clip/auc", "segment_f1_20ms"):
        difference = one.differences[key]
        assert difference.difference == pytest.approx(expected[key].difference)
        assert difference.low == pytest.approx(expected[key].low)
        assert one.holm[key] == pytest.approx(expected[key].p)
        assert one.better(key) == (None if expected[key].p >= 0.05 else False)
    assert other.differences["clip/auc"].difference == -one.differences["clip/auc"].difference


def test_few_sources_are_not_compared(pair):
    result, *_ = pair(6)
    assert setting_pairs(result, result.settings[0], 10) == []


def test_runs_with_another_seed_are_no_pair(pair):
    result, *_ = pair(20, seed=1)
    assert setting_pairs(result, result.settings[0], 10) == []
