import csv
import json
import re

import pytest

from fakesound.errors import InputError
from fakesound.report import read_sweep, write_comparison
from tests.browser import CHROMIUM, browser
from tests.run_factory import edit_json, make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return runs of two learning rates and two seeds each, and an unfinished run."""
    folder = tmp_path_factory.mktemp("sweep") / "rates"
    for rate, objective in ((0.001, 0.6), (0.004, 0.8)):
        for seed in (0, 1):
            place = folder / f"lr={rate},seed={seed}"
            make_run(place, changes={"optim.lr": rate}, seed=seed, sources=4)
            edit_json(place / "metrics.json", lambda m, o=objective: m.update(objective=o))
    make_run(folder / "lr=0.009", finished=False, changes={"optim.lr": 0.009})
    write_comparison([folder], folder / "comparison.html", defaults={"optim.lr": 0.004}, draws=10)
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return (folder / "comparison.html").read_text()


def test_runs_are_ordered_by_what_differs_and_have_their_values(folder):
    runs = read_sweep([folder]).runs
    assert [(run.overrides, run.seed) for run in runs] == [
        ({"optim.lr": rate}, seed) for rate in (0.001, 0.004) for seed in (0, 1)
    ]
    assert {run.held_out for run in runs} == {"vocoder/world"}
    for run in runs:
        block = json.loads((folder / run.name / "metrics.json").read_text())["test"]["unseen"]
        value = run.values["unseen/clip/auc"]
        assert (value.value, value.interval) == (
            block["clip/auc"],
            None if block["ci"]["clip/auc"] is None else tuple(block["ci"]["clip/auc"]),
        )


def test_the_comparison_is_written_for_programs_too(folder):
    rows = list(csv.DictReader((folder / "comparison.csv").read_text().splitlines()))
    assert [row["status"] for row in rows] == ["finished"] * 4 + ["not finished"]
    content = json.loads((folder / "comparison.json").read_text())
    assert content["not_finished"] == ["lr=0.009"]
    assert [run["optim.lr"] for run in content["runs"]] == [0.001] * 2 + [0.004] * 2
    assert content["reference"] == "optim.lr=0.004"
    # four sources are too few for paired differences
    assert content["paired"] == []


def test_the_page_needs_nothing_else(page):
    assert re.findall(r"(?:src|href)=\"(?!data:|#)([^\"]*)", page) == [
        f"lr%3D{rate}%2Cseed%3D{seed}/report.html" for rate in (0.001, 0.004) for seed in (0, 1)
    ]
    assert "http" not in re.sub(r"data:[^\"]*", "", page).replace("http-equiv", "")
    assert "4 of 5 runs" in page
    assert "highest validation objective: optim.lr=0.004 (0.80)" in page.replace("0.800", "0.80")


def test_every_run_can_be_filtered_by_what_differs(page):
    facts = [json.loads(text.replace("&#34;", '"')) for text in re.findall(r'facts="(.*?)"', page)]
    assert [(fact["optim.lr"], fact["seed"]) for fact in facts] == [
        (rate, seed) for rate in ("0.001", "0.004") for seed in "01"
    ]
    for choice in ("0.001", "0.004", "0", "1"):
        assert f"<option>{choice}</option>" in page


def test_runs_of_several_folders_are_compared(folder, tmp_path):
    alone = make_run(tmp_path / "alone", changes={"optim.lr": 0.1}, seed=3, sources=4)
    runs = read_sweep([folder, alone]).runs
    assert [run.overrides["optim.lr"] for run in runs] == [0.001] * 2 + [0.004] * 2 + [0.1]
    assert len({run.name for run in runs}) == 5
    (run,) = read_sweep([alone]).runs
    assert run.name == "alone"


def test_an_empty_sweep_is_no_error_and_a_missing_one_is(tmp_path):
    page = tmp_path / "comparison.html"
    write_comparison([tmp_path], page)
    assert json.loads((tmp_path / "comparison.json").read_text())["runs"] == []
    assert "No run has finished yet" in page.read_text()
    with pytest.raises(InputError, match="nowhere: no such folder"):
        write_comparison([tmp_path / "nowhere"], page)
    with pytest.raises(InputError, match="--reference=seed=1"):
        write_comparison([tmp_path], page, reference="seed=1")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
def test_the_page_is_accessible(folder, tmp_path):
    pytest.importorskip("websocket")
    with browser(tmp_path) as tab:
        tab.open((folder / "comparison.html").as_uri())
        tab.check_accessibility()
        assert tab.problems == []


def test_settings_with_long_labels_have_numbers_in_figures(tmp_path):
    for rate in (0.001, 0.004):
        changes = {"optim.lr": rate, "features.name": f"a long name of features {rate}"}
        make_run(tmp_path / f"lr={rate}", changes=changes, sources=4)
    write_comparison([tmp_path], tmp_path / "comparison.html", draws=10)
    sweep = read_sweep([tmp_path])
    assert list(sweep.figure_labels.values()) == ["setting 1", "setting 2"]
    assert list(sweep.figure_labels) == [setting.label for setting in sweep.settings]
    page = (tmp_path / "comparison.html").read_text()
    for label, number in sweep.figure_labels.items():
        assert f"{number}:</span> {label}" in page
