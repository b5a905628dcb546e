import json
import shutil
from dataclasses import replace

import pytest

from fakesound.errors import InputError
from fakesound.metrics import KEYS
from fakesound.report import read_run
from fakesound.report.glossary import ALL_METRICS, METRICS
from fakesound.report.headline import details, headline, summary
from fakesound.report.run_results import (
    all_fake_f1,
    attack_groups,
    partition_groups,
    shown_parts,
    validation_part,
)
from tests.run_factory import make_run


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Return a run with too few sources for intervals."""
    return make_run(tmp_path_factory.mktemp("small") / "run", sources=4)


def test_every_metric_of_a_block_is_in_the_glossary():
    assert {metric.key for metric in ALL_METRICS} == set(KEYS) - {"clips"}
    titles = [metric.title for metric in METRICS.values()]
    assert len(set(titles)) == len(titles)


def test_reads_what_a_run_wrote(run, run_folder):
    assert run.config["name"] == run.name == "trial"
    assert run.metrics == json.loads((run_folder / "metrics.json").read_text())
    assert {clip.clip_id for clip in run.test_scores} <= set(run.clips)
    assert len(run.epochs) == 3
    assert run.overrides == ["experiment=mt_vim", "resume=auto"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("config.yaml", None, "missing"),
        ("metrics.json", None, "missing"),
        ("scores.jsonl", None, "missing"),
        ("validation_scores.jsonl", None, "missing"),
        ("manifest.jsonl", None, "missing"),
        ("metrics.json", "{", "not JSON"),
        ("epochs.jsonl", "{\n", "not JSON Lines"),
        ("config.yaml", "a: [", "not YAML"),
    ],
)
def test_a_missing_or_invalid_file_is_named(small, tmp_path, name, text, words):
    folder = tmp_path / "run"
    shutil.copytree(small, folder)
    (folder / name).unlink() if text is None else (folder / name).write_text(text)
    with pytest.raises(InputError, match=f"{name}: {words}"):
        read_run(folder)


def test_metrics_may_come_from_another_file(run_folder, tmp_path):
    other = tmp_path / "metrics.json.part"
    other.write_text(json.dumps(json.loads((run_folder / "metrics.json").read_text()) | {"n": 1}))
    assert read_run(run_folder, metrics=other).metrics["n"] == 1


def test_parts_have_their_own_baseline(run):
    unseen, seen = shown_parts(run)
    assert (unseen.name, seen.name) == ("unseen", "seen")
    assert unseen.attacks == ["vocoder/world"]
    assert unseen.fakes == 20
    for part in (unseen, seen):
        baseline = run.metrics["baseline_by_fold"][part.name]["all_fake"]
        assert part.all_fake["segment_f1_20ms"] == baseline["segment_f1_20ms"]
    assert validation_part(run).block == run.metrics["validation"]


def test_without_seen_and_unseen_attacks_there_is_one_part(run):
    scores = [replace(clip, fold=None) for clip in run.test_scores]
    (part,) = shown_parts(replace(run, test_scores=scores))
    assert part.name == "all"
    assert part.block == run.metrics["test"]["all"]


def test_attacks_are_sorted_by_family_and_know_their_clips(run):
    groups = attack_groups(run)
    assert [group.name for group in groups] == ["codec/gsm", "edit/splice", "vocoder/world"]
    assert [group.fold for group in groups] == [None, "seen", "unseen"]
    assert {(group.fakes, group.genuine) for group in groups} == {(20, 20)}
    assert (
        groups[0].block["segment_f1_20ms"]
        == (run.metrics["test"]["attack"]["codec/gsm"]["segment_f1_20ms"])
    )


def test_families_are_groups_too(run):
    assert [group.name for group in partition_groups(run, "family")] == ["codec", "edit", "vocoder"]
    assert partition_groups(run, "subset") == []


def test_the_always_fake_baseline_marks_everything(run):
    unseen = shown_parts(run)[0]
    baseline = unseen.all_fake["segment_f1_20ms"]
    assert all_fake_f1(unseen.scores) == pytest.approx(baseline)


def test_too_few_sources_give_no_interval_and_no_headline(run, small):
    few = read_run(small)
    assert headline(few) == "trial"
    blocks = [shown.block for shown in (*shown_parts(few), *attack_groups(few))]
    assert not any(value for block in blocks for value in (block.get("ci") or {}).values())
    assert "fewer than 20 sources" in details(few)[-1]
    auc = run.metrics["test"]["unseen"]["clip/auc"]
    low, high = run.metrics["test"]["unseen"]["ci"]["clip/auc"]
    assert headline(run) == (
        f"Unseen attack vocoder/world: Clip AUC {auc:.2f} [{low:.2f},\N{NO-BREAK SPACE}{high:.2f}]"
    )
    assert headline(run) in summary(run)
