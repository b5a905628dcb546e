import io
from dataclasses import replace

import pytest
from rich.console import Console

from fakesound.report import paired_table, read_sweep, results_table, robustness_table
from fakesound.report.formatting import bounds, number, signed
from fakesound.report.terminal import sweep_table
from tests.run_factory import make_run


def shown(table, width=100):
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    text = console.file.getvalue()
    assert all(len(line) <= width for line in text.splitlines())
    return text


def test_results_have_intervals_and_the_baseline(run):
    text = shown(results_table(run))
    assert "…" not in text
    for part in ("unseen", "seen"):
        block = run.metrics["test"][part]
        value = number(block["segment_f1_20ms"])
        assert f"{value} {bounds(tuple(block['ci']['segment_f1_20ms']))}" in text
        baseline = run.metrics["baseline_by_fold"][part]["all_fake"]
        assert number(baseline["segment_f1_20ms"]) in text
        assert number(baseline["clip/cllr"]) not in text


def test_results_without_parts_have_one_column(evaluation):
    scores = [replace(clip, fold=None) for clip in evaluation.test_scores]
    text = shown(results_table(replace(evaluation, test_scores=scores)))
    assert text.split()[:3] == ["always", "test", "fake"]
    assert number(evaluation.metrics["test"]["all"]["clip/auc"]) in text


def test_results_fit_a_terminal_of_80_columns(run):
    text = shown(results_table(run), width=80)
    assert len(text.splitlines()) == results_table(run).row_count + 2


def test_two_systems_fit_and_show_the_difference(evaluation):
    paired = evaluation.metrics["paired"]
    text = shown(paired_table(paired | {"names": ["ours", "a peer with a very long name"]}))
    entry = paired["parts"]["unseen"]["segment_f1_20ms"]
    assert signed(entry["difference"], 3) in text
    if entry["low"] is not None:
        assert bounds((entry["low"], entry["high"]), 3, sign=True) in text


@pytest.mark.parametrize(("p", "bold"), [(0.01, True), (0.2, False), (None, False)])
def test_only_a_significantly_better_system_is_bold(p, bold):
    entry = {"a": 0.9, "b": 0.8, "difference": 0.1, "low": 0.05, "high": 0.15, "p": p}
    paired = {"names": ["ours", "theirs"], "parts": {"all": {"clip/auc": entry}}}
    ours, theirs = (list(column.cells)[1] for column in paired_table(paired).columns[1:3])
    assert bool(ours.spans) == bold
    assert not theirs.spans


def test_conditions_show_the_change_from_clean_audio(evaluation):
    robustness = evaluation.metrics["robustness"]
    clean, _, room = (condition["unseen"] for condition in robustness["conditions"])
    (line,) = [line for line in shown(robustness_table(robustness)).splitlines() if "room" in line]
    for key in ("clip/auc", "segment_f1_20ms"):
        assert signed(room[key] - clean[key]) in line
    alone = {"conditions": robustness["conditions"][:1]}
    assert robustness_table(alone).row_count == 0


def test_a_sweep_has_a_row_for_each_run(tmp_path):
    for rate in (0.001, 0.004):
        make_run(tmp_path / str(rate), changes={"optim.lr": rate}, sources=4)
    make_run(tmp_path / "broken", finished=False)
    text = shown(sweep_table(read_sweep([tmp_path])))
    assert "optim.lr=0.001" in text
    assert "broken" in text
    assert "not finished" in text
