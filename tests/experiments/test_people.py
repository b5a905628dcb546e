"""Listeners and models in one table, on answers with known figures."""

import csv
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fakesound.errors import InputError
from fakesound.metrics import ClipScore, write_scores
from tests import factories

PATH = Path(__file__).parents[2] / "experiments" / "claim" / "people.py"
spec = importlib.util.spec_from_file_location("people", PATH)
people = importlib.util.module_from_spec(spec)
spec.loader.exec_module(people)


def clips(each=20):
    rows = []
    for number in range(each):
        rows += [
            factories.make_clip(f"genuine-{number}"),
            factories.make_clip(f"part-{number}", attack="inpainting/a", regions=[(0.2, 0.6)]),
            factories.make_clip(f"whole-{number}", attack="vocoder/b"),
        ]
    return rows


def answers(skill, seed, each=20, tendency=0.0):
    """Return scores of a listener whose evidence for fakes is ``skill`` deviations higher."""
    rng = np.random.default_rng(seed)
    logits = [rng.normal() + skill * (c.is_fake - 0.5) + tendency for c in clips(each)]
    return [
        ClipScore.of(clip, float(1 / (1 + np.exp(-x))))
        for clip, x in zip(clips(each), logits, strict=True)
    ]


def value(cell):
    return float(cell.split(" ")[0])


def ends(cell):
    low, high = cell.split("[")[1].split("]")[0].split(",")
    return float(low), float(high)


def test_listeners_are_averaged_and_compared_with_models():
    listeners = [answers(1.0, seed) for seed in range(4)]
    model = answers(2.0, 99)
    rows = {row["figures of"]: row for row in people.table(listeners, {"model": model}, 50)}
    fake = [clip.fake for clip in model]
    aucs = [roc_auc_score(fake, [clip.logit for clip in scores]) for scores in listeners]
    assert value(rows["people"]["AUC"]) == pytest.approx(np.mean(aucs), abs=5e-4)
    assert float(rows["people"]["deviation of listeners, AUC"]) == pytest.approx(
        np.std(aucs, ddof=1), abs=5e-4
    )
    own = roc_auc_score(fake, [clip.logit for clip in model])
    assert value(rows["model"]["AUC"]) == pytest.approx(own, abs=5e-4)
    part = [clip for clip in model if clip.kind != "whole"]
    expected = roc_auc_score([c.fake for c in part], [c.logit for c in part])
    assert value(rows["model"]["AUC, partial"]) == pytest.approx(expected, abs=5e-4)
    right = np.mean([(clip.score > 0.5) == clip.fake for clip in model])
    assert value(rows["model"]["accuracy"]) == pytest.approx(right, abs=5e-4)
    less = value(rows["model less people"]["AUC"])
    assert less == pytest.approx(own - np.mean(aucs), abs=1e-3)


def test_a_model_that_is_better_is_found_and_an_equal_one_is_not():
    listeners = [answers(0.5, seed) for seed in range(12)]
    models = {"good": answers(4.0, 50), "same": answers(0.5, 51)}
    rows = {row["figures of"]: row for row in people.table(listeners, models, 500)}
    assert ends(rows["good less people"]["AUC"])[0] > 0
    low, high = ends(rows["same less people"]["AUC"])
    assert low < 0.1
    assert high > -0.1


def test_listeners_are_drawn_as_well_as_clips():
    """An interval over clips alone is too narrow for listeners who differ."""
    alike = [answers(3.0, 1)] * 8
    unlike = [answers(3.0, 1)] * 4 + [answers(-3.0, 1)] * 4
    widths = []
    for listeners in (alike, unlike):
        low, high = ends(people.table(listeners, {}, 400)[0]["AUC"])
        widths.append(high - low)
    assert widths[1] > 3 * widths[0]


def test_unanswered_clips_do_not_count():
    whole = answers(1.0, 0)
    half = whole[:30]
    rows = people.table([whole, half], {}, 20)
    aucs = [roc_auc_score([c.fake for c in s], [c.logit for c in s]) for s in (whole, half)]
    assert value(rows[0]["AUC"]) == pytest.approx(np.mean(aucs), abs=5e-4)
    assert rows[0]["clips"] == "60"


def test_without_listeners_nothing_is_measured():
    rows = people.table([], {"model": answers(1.0, 0)})
    assert rows[0]["listeners"] == people.NOT_RUN
    assert {rows[1][name] for name in people.FIGURES} == {""}


def test_a_model_without_a_clip_is_refused():
    with pytest.raises(InputError, match=r"model has no score of clip 'whole-9'"):
        people.table(
            [answers(1.0, 0)], {"model": [s for s in answers(1.0, 0) if s.clip_id != "whole-9"]}
        )


def test_files_of_a_test_become_a_table(tmp_path, monkeypatch):
    folder = tmp_path / "test" / "scores"
    folder.mkdir(parents=True)
    for name in ("ann", "bob"):
        write_scores(folder / f"{name}.jsonl", answers(1.0, len(name)))
    write_scores(folder / "listeners.jsonl", answers(1.0, 9))
    (tmp_path / "model").mkdir()
    write_scores(tmp_path / "model" / "scores.jsonl", answers(1.0, 10))
    arguments = [tmp_path / "test", "--models", tmp_path / "model" / "scores.jsonl"]
    arguments += ["--draws", "20", "--out", tmp_path / "made"]
    monkeypatch.setattr(sys, "argv", ["people", *map(str, arguments)])
    people.main()
    with (tmp_path / "made" / "people.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["figures of"] for row in rows] == ["people", "model", "model less people"]
    assert rows[0]["listeners"] == "2"
