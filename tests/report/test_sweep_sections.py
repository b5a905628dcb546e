"""The parts of a comparison's page: pairs, attacks, curves and lines."""

import json
import re

import pytest

from fakesound.metrics import paired_differences, read_scores, subsets
from fakesound.report import compared_runs, read_run
from fakesound.report.settings import settings_of
from fakesound.report.style import PALETTE
from fakesound.report.sweep_curves import balance_figure, size_figure
from fakesound.report.sweep_matrix import matrices, shade
from fakesound.report.sweep_pairs import setting_pairs
from fakesound.report.sweep_parallel import parallel


def rows_of(folder):
    return compared_runs([folder]).rows


def record(folder, auc, **origin):
    path = folder / "metrics.json"
    kept = json.loads(path.read_text())
    kept["test"]["unseen"]["clip/auc"] = auc
    kept["provenance"] |= origin
    path.write_text(json.dumps(kept))


@pytest.fixture(scope="module")
def balances(make_run, tmp_path_factory):
    """Four fixed balances and learned weights; one test, other scores."""
    folder = tmp_path_factory.mktemp("balances")
    made = ((1.0, "fixed"), (0.7, "fixed"), (0.5, "fixed"), (0.0, "fixed"))
    for number, (share, kind) in enumerate((*made, (0.5, "uncertainty"))):
        changes = {"loss.frame_share": share, "loss.weighting": kind}
        place = make_run(folder / str(number), changes=changes, audio=False, seed=number)
        record(place, 0.6 + number / 10, parameters=1000 * (number + 1))
    return folder


@pytest.fixture(scope="module")
def backbones(make_run, tmp_path_factory):
    """Each attack left out in turn, by two backbones."""
    folder = tmp_path_factory.mktemp("backbones")
    for held_out in ("vocoder/world", "codec/gsm"):
        for name in ("vim", "cnn"):
            changes = {"split.held_out": held_out, "backbone.name": name, "seed": 0}
            place = folder / f"{held_out[:4]},{name}"
            make_run(place, changes=changes, held_out=held_out, audio=False)
    return folder


def test_a_pair_is_the_paired_difference_on_unseen_clips(make_run, tmp_path):
    """Two detectors on the same clips: the second hears them with other noise."""
    places = [make_run(tmp_path / n, changes={"optim.lr": r}, audio=False) for n, r in ("a1", "b2")]
    first = read_scores(places[0] / "scores.jsonl")
    text = (places[0] / "scores.jsonl").read_text().splitlines()
    changed = [json.loads(line) for line in text]
    for index, line in enumerate(changed):
        line["logit"] = line["logit"] * (1 if index % 3 else -1)
        line["score"] = line["score"] if index % 3 else round(1 - line["score"], 6)
    (places[1] / "scores.jsonl").write_text("".join(json.dumps(c) + "\n" for c in changed))
    settings = settings_of(rows_of(tmp_path))
    one, other = setting_pairs(settings, settings[0], 50, "unseen")
    assert (one.setting, one.other, one.pairs) == ("lr 2", "lr 1", 1)
    second = read_scores(places[1] / "scores.jsonl")
    expected = paired_differences(subsets(second).unseen, subsets(first).unseen, 50)
    for key in ("clip/auc", "segment_f1_20ms"):
        assert one.differences[key].difference == pytest.approx(expected[key].difference)
        assert one.differences[key].low == pytest.approx(expected[key].low)
        assert one.differences[key].p == pytest.approx(expected[key].p)
    assert other.differences["clip/auc"].difference == -one.differences["clip/auc"].difference


def test_runs_on_other_clips_or_with_another_seed_are_no_pair(make_run, tmp_path):
    make_run(tmp_path / "a", changes={"optim.lr": 1, "seed": 0}, audio=False)
    make_run(tmp_path / "b", changes={"optim.lr": 2, "seed": 1}, audio=False)
    make_run(tmp_path / "c", changes={"optim.lr": 3, "seed": 0}, audio=False, pairs=5)
    settings = settings_of(rows_of(tmp_path))
    assert setting_pairs(settings, settings[0], 10, "unseen") == []


def test_attacks_left_out_in_turn_meet_every_backbone(backbones):
    settings = settings_of(rows_of(backbones))
    area, f1 = matrices(settings)
    assert [row.attack for row in area.rows] == ["codec/gsm", "vocoder/world"]
    assert area.settings == [setting.label for setting in settings] == ["cnn", "vim"]
    run = read_run(backbones / "voco,vim")
    assert area.rows[1].cells[1].value == run.metrics["test"]["unseen"]["clip/auc"]
    floor = run.metrics["baseline_by_fold"]["unseen"]["all_fake"]["segment_f1_20ms"]
    assert (area.rows[1].floor, f1.rows[1].floor) == (0.5, floor)


def test_otherwise_every_attack_of_the_test_has_a_row_the_unseen_first(balances):
    area, _ = matrices(settings_of(rows_of(balances)))
    assert [(row.attack, row.unseen) for row in area.rows] == [
        ("vocoder/world", True),
        ("codec/gsm", False),
        ("edit/splice", False),
    ]


def test_floors_are_of_a_run_that_scored_frames(balances):
    rows = rows_of(balances)
    scores = rows[0].folder / "scores.jsonl"
    clips_only = [json.loads(line) for line in scores.read_text().splitlines()]
    for row in clips_only:
        row.update(frame_scores=None, frame_step=None)
    before = scores.read_text()
    try:
        scores.write_text("".join(json.dumps(row) + "\n" for row in clips_only))
        _, f1 = matrices(settings_of(rows))
    finally:
        scores.write_text(before)
    assert all(row.floor is not None for row in f1.rows)


def test_a_cell_tells_better_from_worse_than_not_listening():
    assert shade(1.0, 0.5).colour == PALETTE.seen
    assert shade(0.0, 0.5).colour == PALETTE.unseen
    assert shade(0.5, 0.5).colour == PALETTE.paper
    assert shade(None, 0.5).colour == PALETTE.paper
    assert shade(1.0, 0.5).light
    assert not shade(0.6, 0.5).light


def lines_of(axes):
    return {line.get_label(): line for line in axes.lines}


def test_the_balance_runs_from_one_loss_to_the_other(balances):
    rows = rows_of(balances)
    axes = balance_figure(rows).axes[0]
    lines = lines_of(axes)
    assert list(lines["fixed"].get_xdata()) == [0.0, 0.5, 0.7, 1.0]
    by_share = {
        row.config["loss.frame_share"]: row
        for row in rows
        if row.overrides["loss.weighting"] == "fixed"
    }
    expected = [by_share[share].figures["unseen/clip/auc"].value for share in (0.0, 0.5, 0.7, 1.0)]
    assert list(lines["fixed"].get_ydata()) == expected
    assert "uncertainty" in lines
    assert balance_figure(rows[:2]) is None


def test_size_is_shown_where_it_differs(balances, backbones):
    figure = size_figure(settings_of(rows_of(balances)), "unseen")
    dots = [line.get_xdata()[0] for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert sorted(dots) == [1000, 2000, 3000, 4000, 5000]
    assert size_figure(settings_of(rows_of(backbones)), "unseen") is None


def test_each_run_is_a_line_through_its_values(balances):
    rows = rows_of(balances)
    drawn = parallel(rows)
    assert [axis.title for axis in drawn.axes] == [
        *("frame_share", "loss", "seed"),
        *("objective", "unseen segment F1", "unseen clip AUC"),
    ]
    assert {line.name for line in drawn.lines} == {row.name for row in rows}
    best = max(rows, key=lambda row: row.figures["unseen/clip/auc"].value)
    ends = {line.name: float(re.findall(r"[\d.]+", line.path)[-1]) for line in drawn.lines}
    assert ends[best.name] == min(ends.values()) == drawn.top
    assert drawn.lines[-1].colour == PALETTE.unseen
    assert parallel(rows[:1]) is None
