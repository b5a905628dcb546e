"""The analysis of experiments/claim on runs with known figures."""

import csv
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from fakesound.metrics import ClipScore, holm, write_scores
from fakesound.timeline import Region
from tests import factories

FOLDER = Path(__file__).parents[2] / "experiments" / "claim"


def _load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bootstrap = _load("bootstrap")
analyse = _load("analyse")
WHOLE, PARTIAL, FRAMES = bootstrap.FIGURES
GENERATORS = ("vocoder/a", "vocoder/b")


def scores_of(skill, sources=24, frames=True, seed=0):
    """Scores of genuine clips, and of whole and partial fakes of two held-out generators.

    Args:
        skill: Number of standard deviations that fakes and their frames lie above genuine ones.
    """
    rng = np.random.default_rng(seed)
    tables = []
    for source in range(sources):
        kinds = [(None, ()), (None, ())]
        for attack in GENERATORS:
            kinds += [(attack, (Region(0, 1.0),)), (attack, (Region(0.2, 0.5),))]
        for number, (attack, regions) in enumerate(kinds):
            clip = factories.make_clip(
                f"{source}-{number}", attack=attack, regions=regions, duration=1.0,
                source_id=f"s{source}",
            )  # fmt: skip
            truth = np.zeros(50)
            for region in regions:
                truth[round(50 * region.onset) : round(50 * region.offset)] = 1
            parts = {}
            if frames:
                noisy = rng.normal(size=50) + skill * truth
                parts["frame_scores"] = (1 / (1 + np.exp(-noisy))).astype(np.float32)
            score = 1 / (1 + np.exp(-rng.normal() - skill * bool(attack)))
            fold = "unseen" if attack else None
            tables.append(ClipScore.of(clip, float(score), fold=fold, **parts))
    return tables


def write_run(
    folder, system="vim", clip=True, frame=True, fold="vocoder", seed=0, skill=1.0, seconds=600.0
):
    folder.mkdir(parents=True)
    split = {"name": "leave_one_family_out", "held_out": fold, "fold": 0}
    if isinstance(fold, int):
        split = {"name": "decoder_folds", "held_out": None, "fold": fold}
    config = {
        "seed": seed, "epochs": 3, "steps": 500, "backbone": {"name": system, "drop_path": 0.1},
        "heads": {"clip": clip, "frame": frame}, "split": split, "optim": {"lr": 0.002},
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    origin = {"parameters": 1234, "cpu_seconds": {"train": seconds}}
    (folder / "metrics.json").write_text(json.dumps({"provenance": origin, "objective": skill / 4}))
    number = seed + 10 * sum(map(ord, str(fold)))
    write_scores(folder / "scores.jsonl", scores_of(skill, frames=frame, seed=number))


def cells(values, draws=400):
    """Cells without variation over sources, from ``values[fold][seed][generator]``."""
    return {
        str(fold): {
            seed: {str(g): np.full(1 + draws, float(v)) for g, v in enumerate(generators)}
            for seed, generators in enumerate(seeds)
        }
        for fold, seeds in enumerate(values)
    }


def test_figures_are_those_of_sklearn():
    scores = scores_of(1.0)
    result = bootstrap.run_figures(scores, draws=3)
    genuine = [clip for clip in scores if not clip.fake]
    for attack in GENERATORS:
        for name, kind in ((WHOLE, "whole"), (PARTIAL, "part")):
            fakes = [clip for clip in scores if (clip.attack, clip.kind) == (attack, kind)]
            # a partner for each fake is one of the two genuine clips of its source
            ids = {clip.clip_id for clip in bootstrap.with_partners(fakes, genuine)}
            part = [clip for clip in scores if clip.clip_id in ids]
            assert len(part) == 2 * len(fakes)
            labels = [clip.fake for clip in part]
            expected = roc_auc_score(labels, [clip.logit for clip in part])
            assert result[name][attack][0] == pytest.approx(expected)
        truth = np.concatenate([_truth(clip) for clip in part])
        frames = np.concatenate([clip.frame_scores for clip in part])
        assert result[FRAMES][attack][0] == pytest.approx(roc_auc_score(truth, frames))


def _truth(clip):
    truth = np.zeros(50, dtype=bool)
    for region in clip.regions:
        truth[round(50 * region.onset) : round(50 * region.offset)] = True
    return truth


def test_draws_weigh_clips_by_their_source():
    scores = scores_of(0.5)
    result = bootstrap.run_figures(scores, draws=20)
    sources = sorted({clip.source_id for clip in scores})
    seed = bootstrap.crc32("\n".join(sources).encode())
    drawn = bootstrap.source_draws(len(sources), 20, seed)
    fakes = [clip for clip in scores if (clip.attack, clip.kind) == (GENERATORS[0], "part")]
    part = bootstrap.with_partners(fakes, [clip for clip in scores if not clip.fake])
    for draw in (0, 7, 19):
        weight = np.array([drawn[draw, sources.index(clip.source_id)] for clip in part])
        labels, logits = [c.fake for c in part], [c.logit for c in part]
        expected = roc_auc_score(labels, logits, sample_weight=weight)
        assert result[PARTIAL][GENERATORS[0]][1 + draw] == pytest.approx(expected)
        frames = np.concatenate([clip.frame_scores for clip in part])
        truth = np.concatenate([_truth(clip) for clip in part])
        expected = roc_auc_score(truth, frames, sample_weight=np.repeat(weight, 50))
        # of scores in levels
        assert result[FRAMES][GENERATORS[0]][1 + draw] == pytest.approx(expected, abs=2e-3)


def test_every_fold_counts_alike():
    result = bootstrap.mean_over(cells([[[0.9, 0.7, 0.8], [0.9, 0.7, 0.8]], [[0.4]]]))
    assert result[0] == pytest.approx((0.8 + 0.4) / 2)


def test_without_variation_there_is_no_interval():
    result = bootstrap.mean_over(cells([[[0.7, 0.7], [0.7, 0.7]], [[0.7, 0.7]]]))
    np.testing.assert_allclose(result, 0.7)


@pytest.mark.parametrize("level", ["fold", "seed", "generator", "source"])
def test_each_level_is_drawn_with_replacement(level):
    values, draws = np.array([0.5, 0.6, 0.7, 0.9]), 4000
    if level == "fold":
        tables = cells([[[v]] for v in values], draws)
    elif level == "seed":
        tables = cells([[[v] for v in values]], draws)
    elif level == "generator":
        tables = cells([[list(values)]], draws)
    else:
        rng = np.random.default_rng(1)
        drawn = rng.choice(values, (draws, 4)).mean(1)
        tables = {"0": {0: {"g": np.append(values.mean(), drawn)}}}
    result = bootstrap.mean_over(tables)
    assert result[0] == pytest.approx(values.mean())
    assert result[1:].mean() == pytest.approx(values.mean(), abs=0.005)
    assert result[1:].std() == pytest.approx(values.std() / 2, rel=0.06)


def test_systems_are_compared_on_what_both_have():
    a, b = cells([[[0.9], [0.8]], [[0.1]]]), cells([[[0.7]]])
    one = bootstrap.compared(a, b)
    assert (one.a, one.b) == pytest.approx((0.9, 0.7))
    assert (one.difference, one.low, one.high) == pytest.approx((0.2, 0.2, 0.2))
    assert bootstrap.compared(a, {"other": b["0"]}) is None


def test_a_system_does_not_differ_from_itself():
    figures = bootstrap.run_figures(scores_of(1.0), draws=100)[PARTIAL]
    one = bootstrap.compared({"a": {0: figures}}, {"a": {0: figures}})
    assert (one.difference, one.low, one.high, one.p) == (0, 0, 0, 1)


def test_holm_is_that_of_statsmodels_by_hand():
    # sorted .01, .02, .03 of five tests: times 5, 4, 3, and never less than the one before
    result = holm({"b": 0.02, "a": 0.01, "c": 0.03}, 5)
    assert result == pytest.approx({"a": 0.05, "b": 0.08, "c": 0.09})
    assert holm({"a": 0.04, "b": 0.03}) == pytest.approx({"b": 0.06, "a": 0.06})


def test_without_runs_every_figure_is_called_not_run():
    page, rows, tests = analyse.tables({"steps": [], "time": []})
    assert len(rows) == 4 * len(analyse.SYSTEMS) * len(analyse.TASKS)
    assert {row[figure] for row in rows for figure in analyse.FIGURES} == {analyse.NOT_RUN}
    assert {row["result"] for row in tests} == {analyse.NOT_RUN}
    assert {row["runs"] for row in rows} == {"0 of 15"}
    assert "0." not in page


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """Vim is as good as the transformer, better than the original, worse than the mobilenet."""
    folder = tmp_path_factory.mktemp("outputs") / "claim"
    skills = {"vim": 1.0, "transformer": 1.0, "original": 0.0, "mobilenet": 3.0}
    for system, skill in skills.items():
        for fold in ("vocoder", "codec", "edit"):
            for seed in (0, 1):
                name = f"{system}-{fold}-{seed}"
                seconds = 600.0 if system == "vim" else 1200.0
                write_run(folder / name, system, fold=fold, seed=seed, skill=skill, seconds=seconds)
    write_run(folder / "vim-clip", "vim", frame=False)
    (folder / "unfinished").mkdir()
    return folder


def test_known_systems_differ(sweep, tmp_path, monkeypatch):
    arguments = ["analyse", "--steps", str(sweep), "--time", "--draws", "1000"]
    arguments += ["--search", str(tmp_path / "none"), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", arguments)
    analyse.main()
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = {(r["system"], r["tasks"]): r for r in rows if r["bench"] == "leave_one_family_out"
             and r["budget"] == "steps"}  # fmt: skip
    # P(a normal deviate one higher is larger) = Phi(1 / sqrt 2) = .760; three higher: .983
    for system, expected in (("original", 0.5), ("vim", 0.760), ("mobilenet", 0.983)):
        for figure in analyse.FIGURES:
            value, *ends = steps[system, "both"][figure].replace(",", "").split(" ")
            assert float(value) == pytest.approx(expected, abs=0.05)
            assert len(ends) == 2
    assert steps["vim", "both"]["runs"] == "6 of 15"
    assert steps["vim", "clip"][FRAMES] == ""
    assert steps["mamba2", "both"][WHOLE] == analyse.NOT_RUN
    assert {row[WHOLE] for row in rows if row["budget"] == "time"} == {analyse.NOT_RUN}
    with (tmp_path / "comparisons.csv").open() as file:
        tests = [row for row in csv.DictReader(file) if row["budget"] == "steps"]
    result = {
        (row["figure"], row["vim, both, against"]): row["result"]
        for row in tests
        if row["bench"] == "leave_one_family_out"
    }
    for figure in analyse.FIGURES:
        assert result[figure, "original, both"] == "better"
        assert result[figure, "mobilenet, both"] == "worse"
        assert result[figure, "transformer, both"] in ("not inferior", "nothing shown")
        assert result[figure, "mamba2, both"] == analyse.NOT_RUN
    # each task is compared with both in its own figures
    assert (FRAMES, "vim, clip") not in result
    assert (WHOLE, "vim, frame") not in result
    assert (tmp_path / "tables.md").read_text().count("not run yet") > 50
    with (tmp_path / "runs.csv").open() as file:
        each = [r for r in csv.DictReader(file) if (r["system"], r["tasks"]) == ("vim", "both")]
    assert len(each) == 6
    # folds are of one size here, so that the mean of the runs is the table's
    mean = np.mean([float(row[WHOLE]) for row in each])
    assert mean == pytest.approx(float(steps["vim", "both"][WHOLE].split(" ")[0]), abs=1e-3)


def test_equal_time_gives_each_system_the_seconds_of_the_reference(sweep):
    commands = analyse.equal_time(analyse.read_runs([sweep], 0))
    # twice the time a step, half the steps
    assert (
        "fakesound run -m sweep=claim name=claim_time system=transformer epochs=3 steps=250"
    ) in commands
    assert any(command.startswith("# mamba2: not run yet") for command in commands)
    assert not any("system=vim " in command for command in commands)


def test_decoder_folds_are_a_bench_of_their_own(tmp_path):
    write_run(tmp_path / "a", fold=0)
    (run,) = analyse.read_runs([tmp_path], 10)
    assert (run.bench, run.fold, run.arm) == ("decoder_folds", "0", ("vim", "both"))


def test_the_search_chooses_on_validation(tmp_path):
    for number, skill in enumerate((1.0, 3.0, 2.0)):
        write_run(tmp_path / str(number), skill=skill)
        config = yaml.safe_load((tmp_path / str(number) / "config.yaml").read_text())
        config["optim"]["lr"] = 0.001 * (1 + number)
        (tmp_path / str(number) / "config.yaml").write_text(yaml.safe_dump(config))
    page = analyse.search_table(tmp_path)
    assert "| vim | 3 of 8 | 0.002 | 0.1 | 0.750 |" in page
    assert "| mamba2 | 0 of 8 | not run yet |  |  |" in page
