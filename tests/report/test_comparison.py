import csv
import json
import re

import pytest

from fakesound.errors import InputError
from fakesound.report import compared_runs, read_sweep, sweep_rows, write_comparison
from fakesound.report.compared import outcome


def set_objective(folder, objective):
    path = folder / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"objective": objective}))


@pytest.fixture(scope="module")
def sweep(make_run, tmp_path_factory):
    """Two learning rates, two seeds each, and a run that has not finished."""
    folder = tmp_path_factory.mktemp("sweep") / "rates"
    for rate, objective in ((0.001, 0.6), (0.004, 0.8)):
        for seed in (0, 1):
            changes = {"optim.lr": rate, "seed": seed}
            place = make_run(folder / f"lr={rate},seed={seed}", changes=changes, seed=seed)
            set_objective(place, objective)
    make_run(folder / "lr=0.009", finished=False, changes={"optim.lr": 0.009})
    return folder


@pytest.fixture(scope="module")
def page(sweep):
    write_comparison([sweep], sweep / "comparison.html", defaults={"optim.lr": 0.004}, draws=20)
    return (sweep / "comparison.html").read_text()


def test_rows_tell_what_differs(sweep):
    rows = sweep_rows(read_sweep(sweep))
    assert [(row.overrides, row.seed) for row in rows] == [
        ({"optim.lr": rate}, seed) for rate in (0.001, 0.004) for seed in (0, 1)
    ]
    assert {row.held_out for row in rows} == {"vocoder/world"}


def test_figures_are_those_of_the_runs(sweep):
    for row in sweep_rows(read_sweep(sweep)):
        kept = json.loads((sweep / row.name / "metrics.json").read_text())
        block = kept["test"]["unseen"]
        assert row.figures["unseen/clip/auc"].value == block["clip/auc"]
        assert list(row.figures["unseen/clip/auc"].interval) == block["ci"]["clip/auc"]


def test_validation_chooses_and_not_the_test(sweep):
    headline, _ = outcome(sweep_rows(read_sweep(sweep)))
    assert "0.004" in headline


def test_a_comparison_is_left_for_people_and_programs(sweep, page):
    rows = list(csv.DictReader((sweep / "comparison.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["finished"] * 4 + ["not finished"]
    kept = json.loads((sweep / "comparison.json").read_text())
    assert kept["not_finished"] == ["lr=0.009"]
    assert len(kept["runs"]) == 4
    assert kept["reference"] == "lr 0.004"
    (pair,) = [pair for pair in kept["paired"] if pair["other"] == kept["reference"]]
    assert (pair["setting"], pair["pairs"]) == ("lr 0.001", 2)
    assert "4 of 5" in page


def test_the_page_needs_nothing_else(page):
    assert re.findall(r"(?:src|href)=\"(?!data:|#)([^\"]*)", page) == [
        f"lr%3D{rate}%2Cseed%3D{seed}/report.html" for rate in (0.001, 0.004) for seed in (0, 1)
    ]
    assert "http" not in re.sub(r"data:[^\"]*", "", page).replace("http-equiv", "")


def test_every_run_can_be_found_by_what_differs(page):
    facts = [json.loads(text.replace("&#34;", '"')) for text in re.findall(r'facts="(.*?)"', page)]
    assert [(fact["lr"], fact["seed"]) for fact in facts] == [
        (rate, seed) for rate in ("0.001", "0.004") for seed in "01"
    ]
    for choice in ("0.001", "0.004", "0", "1"):
        assert f"<option>{choice}</option>" in page
    # a run is a row and a line
    assert len(re.findall(r"data-run=", page)) == 2 * len(facts)


def test_attacks_left_out_in_turn_are_told_by_attack(make_run, tmp_path):
    for number, attack in enumerate(("vocoder/world", "codec/gsm")):
        changes = {"split.held_out": attack}
        make_run(tmp_path / f"held_out={number}", held_out=attack, changes=changes)
    headline, said = outcome(sweep_rows(read_sweep(tmp_path)))
    assert "left out one at a time" in headline
    assert "vocoder/world" in said
    assert "codec/gsm" in said


def test_runs_of_several_folders_stand_side_by_side(sweep, make_run, tmp_path):
    lone = make_run(tmp_path / "lone", changes={"optim.lr": 0.1}, seed=3)
    compared = compared_runs([sweep, lone])
    assert [row.overrides["optim.lr"] for row in compared.rows] == [0.001] * 2 + [0.004] * 2 + [0.1]
    assert len({row.name for row in compared.rows}) == 5


def test_an_empty_sweep_is_no_error_and_a_missing_one_is(tmp_path):
    page = tmp_path / "comparison.html"
    write_comparison([tmp_path], page)
    assert json.loads((tmp_path / "comparison.json").read_text())["runs"] == []
    assert "No run has finished yet" in page.read_text()
    with pytest.raises(InputError, match="no such folder"):
        write_comparison([tmp_path / "nowhere"], page)
    with pytest.raises(InputError, match="no run has finished"):
        write_comparison([tmp_path], page, reference="seed=1")
