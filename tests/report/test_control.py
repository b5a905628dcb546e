"""The control of a run has the held-out attack in training."""

import json

import pytest
import yaml

from fakesound.config.saved import identity
from fakesound.report import read_run, write_comparison, write_report
from fakesound.report.control import control_table, counterpart
from tests.run_factory import UNSEEN, edit_json, make_run


def run_of(folder, control, held_out=(UNSEEN,), **changes):
    """Write a run with the files of its training besides those of the factory."""
    # the attack that is held out is seen by the control
    seen = {"held_out": "none/of them"} if control else {}
    changes = {"split.control": control, "split.held_out": UNSEEN} | changes
    run = make_run(folder, changes=changes, seed=control, **seen)
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["seed"] = 0
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    (run / "identity").write_text(identity(config) + "\n")
    edit_json(
        run / "metrics.json",
        lambda metrics: metrics["provenance"].update(held_out=list(held_out)),
    )
    return run


@pytest.fixture
def plain(tmp_path):
    return run_of(tmp_path / "plain", False)


def titles(folder):
    return [row.title for row in control_table(read_run(folder)).rows]


def test_both_runs_show_both(plain, tmp_path):
    control = run_of(tmp_path / "control", True)
    for folder in (plain, control):
        table = control_table(read_run(folder))
        held, trained = (
            read_run(each).metrics["test"]["attack"][UNSEEN] for each in (plain, control)
        )
        assert held["clip/auc"] != trained["clip/auc"]
        assert [row.block["clip/auc"] for row in table.rows] == [
            held["clip/auc"],
            trained["clip/auc"],
        ]
        assert [row.style for row in table.rows] == ["unseen", "baseline"]


@pytest.mark.parametrize(
    "changes", [{"optim.lr": 0.001}, {"split.held_out": "codec/gsm"}, {"split.control": False}]
)
def test_a_run_that_differs_in_more_is_no_control(plain, tmp_path, changes):
    run_of(tmp_path / "other", True, **changes)
    assert counterpart(plain, read_run(plain).config) is None
    assert titles(plain) == [f"{UNSEEN}, held out"]


def test_an_unfinished_control_is_none(plain, tmp_path):
    (run_of(tmp_path / "control", True) / "metrics.json").unlink()
    assert counterpart(plain, read_run(plain).config) is None


def test_the_page_shows_it_or_states_that_it_is_missing(plain, tmp_path):
    write_report(read_run(plain), tmp_path / "page.html", 0)
    assert "The control is missing" in (tmp_path / "page.html").read_text()
    run_of(tmp_path / "control", True)
    write_report(read_run(plain), tmp_path / "page.html", 0)
    page = (tmp_path / "page.html").read_text()
    assert "The control is missing" not in page
    assert f"{UNSEEN}, in training (control)" in page


def test_a_sweep_of_both_has_a_comparison(plain, tmp_path):
    run_of(tmp_path / "control", True)
    write_comparison([tmp_path], tmp_path / "comparison.html")
    result = json.loads((tmp_path / "comparison.json").read_text())
    assert {run["split.control"] for run in result["runs"]} == {True, False}
    values = {run["split.control"]: run["unseen/clip/auc"] for run in result["runs"]}
    assert values[True] is None
    assert values[False] is not None


def test_without_an_attack_held_out_there_is_none(tmp_path):
    run = run_of(tmp_path / "official", False, held_out=())
    assert control_table(read_run(run)) is None
