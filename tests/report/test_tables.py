import csv
import errno

import pytest

from fakesound import files
from fakesound.report import write_tables


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_one_file_for_each_table_there_is(evaluation, tmp_path):
    written = write_tables(evaluation.metrics, tmp_path)
    assert [path.name for path in written] == [
        "test.csv",
        "attack.csv",
        "family.csv",
        "region_length.csv",
        "corpus.csv",
        "localisation.csv",
        "robustness.csv",
        "paired.csv",
    ]
    assert sorted((tmp_path / "tables").iterdir()) == sorted(written)


def test_figures_and_intervals_are_those_of_the_metrics(evaluation, tmp_path):
    write_tables(evaluation.metrics, tmp_path)
    result = rows(tmp_path / "tables" / "test.csv")
    assert [row["name"] for row in result] == ["all", "seen", "unseen"]
    for row in result:
        block = evaluation.metrics["test"][row["name"]]
        assert int(row["clips"]) == block["clips"]
        assert float(row["clip/auc"]) == block["clip/auc"]
        ends = [float(row[f"clip/auc/{end}"]) for end in ("low", "high")]
        assert ends == block["ci"]["clip/auc"]


def test_conditions_and_pairs_have_a_row_for_each_part(evaluation, tmp_path):
    write_tables(evaluation.metrics, tmp_path)
    conditions = rows(tmp_path / "tables" / "robustness.csv")
    assert len(conditions) == 9
    room = evaluation.metrics["robustness"]["conditions"][2]["unseen"]["clip/auc"]
    assert [
        float(row["clip/auc"])
        for row in conditions
        if (row["name"], row["part"]) == ("room", "unseen")
    ] == [room]
    pairs = rows(tmp_path / "tables" / "paired.csv")
    assert len(pairs) == sum(len(part) for part in evaluation.metrics["paired"]["parts"].values())
    assert {row["name_b"] for row in pairs} == {"theirs"}
    entry = evaluation.metrics["paired"]["parts"]["seen"]["clip/eer"]
    (row,) = [row for row in pairs if (row["name"], row["part"]) == ("clip/eer", "seen")]
    assert {key: float(row[key]) for key in entry} == entry


def test_undefined_figures_are_empty_and_empty_folds_left_out(tmp_path):
    block = {"clips": 4, "clip/auc": None, "ci": {"clips": None, "clip/auc": None}}
    metrics = {"test": {"all": block, "seen": {"clips": 0, "clip/auc": None}}, "paired": None}
    (path,) = write_tables(metrics, tmp_path)
    text = "name,clips,clip/auc,clip/auc/low,clip/auc/high\nall,4,,,\n"
    assert path.read_text(encoding="utf-8") == text


def test_a_full_disk_leaves_the_old_table(evaluation, tmp_path, monkeypatch):
    path = tmp_path / "tables" / "test.csv"
    path.parent.mkdir()
    path.write_text("old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write_tables(evaluation.metrics, tmp_path)
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]
