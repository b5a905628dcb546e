import io

from rich.console import Console

from fakesound.reporting import read_run, results_table
from fakesound.reporting.wording import number


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
