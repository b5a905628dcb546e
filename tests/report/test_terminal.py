import io
from dataclasses import replace

from rich.console import Console

from fakesound.report import paired_table, read_run, results_table, robustness_table
from fakesound.report.wording import number, signed


def shown(table, width=100):
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue()


def test_table_has_the_figures_and_fits(run):
    text = shown(results_table(run))
    assert all(len(line) <= 100 for line in text.splitlines())
    assert "…" not in text
    for fold in ("unseen", "seen"):
        block = run.metrics["test"][fold]
        low, high = block["ci"]["segment_f1_20ms"]
        value = number(block["segment_f1_20ms"])
        assert f"{value} [{number(low)}, {number(high)}]" in text
    assert number(run.metrics["baseline_by_fold"]["unseen"]["all_fake"]["segment_f1_20ms"]) in text


def test_only_tasks_that_exist_are_shown(make_run, tmp_path):
    run = read_run(make_run(tmp_path / "run", frame_task=False, audio=False))
    text = shown(results_table(run))
    assert "Clip AUC" in text
    assert "Segment F1" not in text


def test_an_evaluation_without_folds_has_one_column_of_figures(evaluation):
    whole = replace(
        evaluation, test_scores=[replace(clip, fold=None) for clip in evaluation.test_scores]
    )
    text = shown(results_table(whole))
    assert text.splitlines()[0].split() == ["test", "all", "called", "fake"]
    assert number(evaluation.metrics["test"]["all"]["clip/auc"]) in text


def test_two_systems_fit_and_show_the_difference(evaluation):
    paired = evaluation.metrics["paired"]
    text = shown(paired_table(paired | {"names": ["ours", "a peer with a very long name"]}))
    assert all(len(line) <= 100 for line in text.splitlines())
    entry = paired["parts"]["unseen"]["segment_f1_20ms"]
    interval = f"[{signed(entry['low'], 3)}, {signed(entry['high'], 3)}]"
    assert f"{signed(entry['difference'], 3)} {interval}" in text


def test_only_the_system_that_is_better_beyond_chance_is_bold():
    entry = {"a": 0.9, "b": 0.8, "difference": 0.1, "low": 0.05, "high": 0.15}
    paired = {
        "names": ["ours", "theirs"],
        "parts": {
            "all": {"clip/auc": entry | {"p": 0.01}, "clip/balanced_accuracy": entry | {"p": 0.2}}
        },
    }
    ours, theirs = (list(column.cells) for column in paired_table(paired).columns[1:3])
    bold = [bool(cell and cell.spans) for cell in ours]
    assert bold == [False, True, False]
    assert not any(cell and cell.spans for cell in theirs)


def test_conditions_show_the_change_against_clean_audio(evaluation):
    text = shown(robustness_table(evaluation.metrics["robustness"]))
    assert all(len(line) <= 100 for line in text.splitlines())
    clean, _, room = (c["unseen"] for c in evaluation.metrics["robustness"]["conditions"])
    (line,) = [line for line in text.splitlines() if line.startswith("heard in room")]
    for key in ("clip/auc", "segment_f1_20ms"):
        assert signed(room[key] - clean[key]) in line


def test_clean_audio_alone_gives_an_empty_table(evaluation):
    alone = {"conditions": evaluation.metrics["robustness"]["conditions"][:1]}
    assert robustness_table(alone).row_count == 0
