import json

import pytest

from fakesound.errors import InputError
from fakesound.report import read_run


def test_reads_everything_a_run_left(run, run_folder):
    assert run.config["name"] == "trial"
    assert run.metrics == json.loads((run_folder / "metrics.json").read_text())
    assert {clip.clip_id for clip in run.test_scores} <= set(run.clips)
    assert len(run.epochs) == 3
    assert "experiment=mt_vim" in run.overrides


@pytest.mark.parametrize(
    "name",
    ["config.yaml", "metrics.json", "scores.jsonl", "validation_scores.jsonl", "manifest.jsonl"],
)
def test_names_the_missing_file_and_the_mend(make_run, tmp_path, name):
    folder = make_run(tmp_path / "run", pairs=2, audio=False)
    (folder / name).unlink()
    with pytest.raises(InputError, match=rf"{name}: missing; .*resume=auto"):
        read_run(folder)


def test_epochs_and_overrides_may_be_absent(make_run, tmp_path):
    folder = make_run(tmp_path / "run", pairs=2, audio=False)
    (folder / "epochs.jsonl").unlink()
    (folder / ".hydra" / "overrides.yaml").unlink()
    run = read_run(folder)
    assert run.epochs == ()
    assert run.overrides is None


def test_figures_may_come_from_another_file(make_run, tmp_path):
    folder = make_run(tmp_path / "run", pairs=2, audio=False)
    (folder / "metrics.json").rename(folder / "metrics.json.part")
    assert read_run(folder, metrics=folder / "metrics.json.part").metrics["objective"] == 0.876543


@pytest.mark.parametrize(
    ("name", "text"),
    [("metrics.json", "{"), ("epochs.jsonl", "{\n"), ("config.yaml", "a: [")],
)
def test_a_broken_file_is_named(make_run, tmp_path, name, text):
    folder = make_run(tmp_path / "run", pairs=2, audio=False)
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=f"{name}: not "):
        read_run(folder)
