"""The verb: ``fakesound evaluate``."""

import json

import pytest
import torch
from msgspec import structs

from fakesound.augmentation.conditions import CONDITIONS
from fakesound.data.manifest import read_manifest, write_manifest
from fakesound.metrics import metrics_block, part_blocks, read_scores, write_scores
from fakesound.scoring.calibration import fit_calibrator
from fakesound.scoring.thresholds import select_thresholds
from tests.factories import manifest_clip
from tests.metrics.conftest import build_clip, build_scores


@pytest.fixture
def run(run_verb):
    """Run the verb in this process; return the exit code and the output."""

    def run(*arguments):
        code, out, err = run_verb("evaluate", *arguments)
        return code, out + err

    return run


@pytest.fixture
def files(tmp_path):
    """Return score files of two systems and of validation clips."""
    write_scores(tmp_path / "a.jsonl", build_scores(seed=1, pairs=20, gain=2.0))
    write_scores(tmp_path / "b.jsonl", build_scores(seed=1, pairs=20, gain=0.3))
    write_scores(tmp_path / "v.jsonl", build_scores(seed=3, pairs=20, gain=2.0))
    return tmp_path


def results(folder):
    return json.loads((folder / "metrics.json").read_text())


def test_a_score_file_gives_the_figures_of_its_scores(run, files):
    out = files / "out"
    code, output = run("--scores", files / "a.jsonl", "--out", out, "--draws", 50, "--seed", 4)
    assert code == 0, output
    scores = read_scores(files / "a.jsonl")
    whole = results(out)["test"]["all"]
    assert {k: v for k, v in whole.items() if k != "ci"} == metrics_block(scores)
    assert whole["ci"] == part_blocks(scores, {"all": scores}, 50, 4)["all"]["ci"]
    assert (out / "scores.jsonl").read_bytes() == (files / "a.jsonl").read_bytes()
    assert (out / "report.html").stat().st_size > 10_000
    assert {"test.csv", "attack.csv", "localisation.csv"} <= {p.name for p in out.glob("tables/*")}


@pytest.mark.parametrize("method", ["logistic", "isotonic"])
def test_thresholds_and_calibration_come_from_validation(run, files, method):
    out = files / "out"
    arguments = ("--scores", files / "b.jsonl", "--validation-scores", files / "v.jsonl")
    more = ("--calibrate", method, "--confidence", 0.7, "--draws", 0)
    code, printed = run(*arguments, *more, "--out", out)
    assert code == 0, printed
    found = results(out)
    calibrator = fit_calibrator(read_scores(files / "v.jsonl"), method)
    chosen = select_thresholds(calibrator.apply(read_scores(files / "v.jsonl")))
    assert found["thresholds"] == {
        "clip": pytest.approx(chosen.clip),
        "frame": chosen.frame,
        "origin": "validation",
    }
    (threshold,) = {clip.clip_threshold for clip in read_scores(out / "scores.jsonl")}
    assert threshold == pytest.approx(chosen.clip)
    assert found["calibration"]["method"] == method
    raw = metrics_block(read_scores(files / "b.jsonl"))
    assert found["calibration"]["before"]["all"]["cllr"] == pytest.approx(raw["clip/cllr"])
    assert found["calibration"]["after"]["all"]["cllr"] == found["test"]["all"]["clip/cllr"]
    assert 0 <= found["abstention"]["all"]["answered"] <= 1


def test_two_systems_are_compared(run, files):
    out = files / "out"
    code, output = run(
        "--scores", files / "a.jsonl", files / "b.jsonl", "--out", out, "--draws", 99
    )
    assert code == 0, output
    paired = results(out)["paired"]
    assert paired["names"] == ["a", "b"]
    entry = paired["parts"]["all"]["clip/cllr"]
    a, b = (metrics_block(read_scores(files / f"{name}.jsonl"))["clip/cllr"] for name in "ab")
    assert entry["difference"] == pytest.approx(a - b)
    assert entry["low"] < entry["difference"] < entry["high"]
    code, output = run("--scores", files / "a.jsonl", files / "v.jsonl", "--out", out, "--draws", 9)
    assert code == 2
    assert "differs in label, source_id or regions" in output


@pytest.mark.parametrize("fake", [False, True])
def test_clips_of_one_label_are_evaluated(run, files, fake):
    scores = [clip for clip in read_scores(files / "a.jsonl") if clip.fake == fake]
    write_scores(files / "one.jsonl", scores)
    code, output = run("--scores", files / "one.jsonl", "--out", files / "out", "--draws", 20)
    assert code == 0, output
    assert (files / "out" / "report.html").is_file()
    block = results(files / "out")["test"]["all"]
    assert (block["clips"], block["clip/auc"]) == (len(scores), None)


def test_a_checkpoint_scores_as_its_run_did(run, finished, tmp_path):
    clips = [c for c in read_manifest(finished / "manifest.jsonl") if c.split == "test"]
    write_manifest(tmp_path / "m.jsonl", clips)
    out = tmp_path / "out"
    arguments = ("--checkpoint", finished, "--manifest", tmp_path / "m.jsonl", "--out", out)
    code, output = run(*arguments, "--draws", 0, "--robustness", "gsm", "trim")
    assert code == 0, output
    expected = {clip.clip_id: clip for clip in read_scores(finished / "scores.jsonl")}
    scores = read_scores(out / "scores.jsonl")
    assert len(scores) == len(expected) > 4
    for clip in scores:
        wanted = expected[clip.clip_id]
        assert clip.score == pytest.approx(wanted.score, abs=1e-5)
        assert clip.frame_scores == pytest.approx(wanted.frame_scores, abs=1e-5)
        assert (clip.fold, clip.regions) == (wanted.fold, wanted.regions)
        assert clip.clip_threshold == wanted.clip_threshold
    found, before = results(out), results(finished)
    assert found["thresholds"]["origin"] == "the checkpoint"
    assert found["calibration"]["method"] == before["calibration"]["method"] == "logistic"
    names = [row["name"] for row in found["robustness"]["conditions"]]
    assert names == ["clean", "gsm", "trim"]
    assert (
        found["robustness"]["conditions"][0]["all"]["clip/auc"] == found["test"]["all"]["clip/auc"]
    )


def test_a_recording_that_cannot_be_read_is_named_with_the_way_to_skip_it(run, finished, tmp_path):
    clips = [c for c in read_manifest(finished / "manifest.jsonl") if c.split == "test"]
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"not audio")
    write_manifest(
        tmp_path / "m.jsonl", [structs.replace(clips[0], location=str(broken)), *clips[1:]]
    )
    arguments = ("--checkpoint", finished, "--manifest", tmp_path / "m.jsonl", "--draws", 0)
    code, output = run(*arguments, "--out", tmp_path / "out")
    assert code == 2
    assert "broken.wav" in output
    assert "--allow-missing" in output
    assert not (tmp_path / "out").exists()
    code, output = run(*arguments, "--allow-missing", "--out", tmp_path / "out")
    assert code == 0, output
    found = results(tmp_path / "out")
    assert found["test"]["all"]["clips"] == len(clips) - 1
    assert any("broken.wav" in remark for remark in found["remarks"])


def test_a_checkpoint_without_thresholds_is_evaluated_at_a_half(run, finished, tmp_path):
    clips = [c for c in read_manifest(finished / "manifest.jsonl") if c.split == "test"]
    write_manifest(tmp_path / "m.jsonl", clips)
    last, out = finished / "checkpoints" / "last.ckpt", tmp_path / "out"
    arguments = ("--manifest", tmp_path / "m.jsonl", "--draws", 0, "--out", out)
    code, output = run("--checkpoint", last, *arguments)
    assert code == 0, output
    expected = {"clip": 0.5, "frame": 0.5, "origin": "a default of 0.5"}
    assert results(out)["thresholds"] == expected


def test_validation_scores_of_a_run_calibrate_its_checkpoint(run, finished, tmp_path):
    clips = [c for c in read_manifest(finished / "manifest.jsonl") if c.split == "test"]
    write_manifest(tmp_path / "m.jsonl", clips)
    runs = []
    for more in ((), ("--validation-scores", finished / "validation_scores.jsonl")):
        arguments = ("--checkpoint", finished, "--manifest", tmp_path / "m.jsonl", *more)
        code, output = run(
            *arguments, "--draws", 0, "--robustness", "gsm", "--out", tmp_path / "out"
        )
        assert code == 0, output
        runs.append(results(tmp_path / "out"))
    alone, with_validation = runs
    assert with_validation["thresholds"]["origin"] == "validation"
    # calibrated once in either case, the clean clips and those through a telephone
    for one, other in zip(*(found["robustness"]["conditions"] for found in runs), strict=True):
        assert other["all"]["clip/cllr"] == pytest.approx(one["all"]["clip/cllr"])
    assert alone["test"]["all"]["clip/cllr"] == with_validation["test"]["all"]["clip/cllr"]


def test_recordings_in_training_are_refused(run, finished, tmp_path):
    # a copy is far from the manifest of its run
    copy, out = tmp_path / "copy.ckpt", tmp_path / "out"
    copy.write_bytes((finished / "checkpoints" / "best.ckpt").read_bytes())
    for checkpoint in (finished, copy):
        arguments = ("--checkpoint", checkpoint, "--manifest", finished / "manifest.jsonl")
        code, output = run(*arguments, "--split", "all", "--out", out)
        assert code == 2
        assert "--drop-training-sources" in output
        assert not out.exists()


def test_a_checkpoint_that_names_no_recordings_of_its_training_is_reported(run, finished, tmp_path):
    old, out = tmp_path / "old.ckpt", tmp_path / "out"
    content = torch.load(finished / "checkpoints" / "best.ckpt", weights_only=True)
    del content["fakesound"]["sources"]
    torch.save(content, old)
    arguments = ("--checkpoint", old, "--manifest", finished / "manifest.jsonl", "--draws", 0)
    code, output = run(*arguments, "--out", out)
    assert code == 0, output
    assert any("recordings in its training" in text for text in results(out)["remarks"])
    # beside the manifest of its run, an old checkpoint is checked as before
    beside = tmp_path / "run" / "checkpoints" / "best.ckpt"
    beside.parent.mkdir(parents=True)
    beside.write_bytes(old.read_bytes())
    manifest = beside.parents[1] / "manifest.jsonl"
    write_manifest(manifest, read_manifest(finished / "manifest.jsonl"))
    code, output = run("--checkpoint", beside, *arguments[2:], "--split", "all", "--out", out)
    assert code == 2
    assert "--drop-training-sources" in output


def test_an_input_is_never_replaced(run, tmp_path):
    scores = tmp_path / "scores.jsonl"
    scores.write_text("{}\n")
    for out in (tmp_path, tmp_path / "there" / ".."):
        code, output = run("--scores", scores, "--out", out)
        assert code == 2
        assert f"{scores} would be replaced" in output
    assert scores.read_text() == "{}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give either --checkpoint with --manifest, or --scores"),
        (("--checkpoint", "run"), "--checkpoint: needs clips; name them with --manifest"),
        (("--scores", "none.jsonl"), "none.jsonl: no such file"),
        (("--scores", "/dev/null"), "/dev/null: holds no rows; give one for each clip"),
        (("--scores", "/tmp"), "/tmp: is a folder; name a score file"),
        (("--scores", "a", "b", "c"), "--scores: 3 files; give one, or two to compare"),
        (("--scores", "a", "--format", "asvspoof"), "give them with --manifest"),
        (("--scores", "a", "--split", "test"), "--split=test: selects rows of manifests"),
        (("--scores", "a", "--draws", "999999999"), "--draws=999999999: must be at most"),
        (("--scores", "a", "--robustness"), "--robustness: needs a detector"),
        (("--scores", "a", "--device", "cpu"), "--device=cpu: only for --checkpoint"),
        (("--scores", "a", "--kernel", "cpu"), "--kernel=cpu: only for --checkpoint"),
        (("--scores", "a", "--calibrate", "isotonic"), "give --validation-scores"),
        (("--scores", "a", "--draws", "-1"), "--draws=-1: must be at least 0"),
        (("--scores", "a", "--confidence", "0.3"), "--confidence=0.3: must be from 0.5"),
        (("--checkpoint", "r", "--manifest", "m", "--robustness", "rain"), "rain"),
    ],
)
def test_wrong_arguments_are_one_line(run, tmp_path, arguments, message):
    code, output = run(*arguments, "--out", tmp_path / "out")
    assert code == 2
    assert message in output
    assert len(output.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_wrong_scores_name_file_row_and_field(run, files):
    rows = (files / "a.jsonl").read_text().splitlines()
    broken = json.loads(rows[2]) | {"score": float("nan")}
    (files / "n.jsonl").write_text("\n".join([*rows[:2], json.dumps(broken)]))
    code, output = run("--scores", files / "n.jsonl", "--out", files / "out")
    assert code == 2
    assert "n.jsonl, row 3, score" in output
    lone = [*read_scores(files / "a.jsonl"), build_clip("lone", 0.1, frames=[0.1] * 50)]
    write_scores(files / "more.jsonl", lone)
    pair = ("--scores", files / "more.jsonl", files / "b.jsonl", "--out", files / "out")
    code, output = run(*pair)
    assert code == 2
    assert "'lone' is scored by only one" in output
    code, output = run(*pair, "--allow-missing", "--draws", 20)
    assert code == 0, output
    assert results(files / "out")["test"]["all"]["clips"] == len(lone) - 1


def test_scores_of_others_need_a_manifest_but_no_audio(run, tmp_path):
    clips = [manifest_clip(f"g{n}", source_id=f"s{n}") for n in range(6)]
    clips += [manifest_clip(f"f{n}", (0, 0.1), source_id=f"s{n}") for n in range(6)]
    write_manifest(
        tmp_path / "m.jsonl",
        [structs.replace(c, location=str(tmp_path / f"{c.clip_id}.wav")) for c in clips],
    )
    text = "".join(f"{clip.clip_id} {-2 if clip.is_fake else 1}.5\n" for clip in clips)
    (tmp_path / "cm.txt").write_text(text)
    out = tmp_path / "out"
    arguments = ("--scores", tmp_path / "cm.txt", "--format", "asvspoof", "--out", out)
    code, output = run(*arguments, "--manifest", tmp_path / "m.jsonl", "--draws", 20)
    assert code == 0, output
    assert results(out)["test"]["all"]["clip/auc"] == 1
    (tmp_path / "cm.txt").write_text(text.replace("f3 -2.5\n", ""))
    code, output = run(*arguments, "--manifest", tmp_path / "m.jsonl")
    assert code == 2
    assert "no score for clip 'f3'" in output


def test_help_explains_the_options(run):
    code, output = run("--help")
    assert code == 0
    for word in ("--checkpoint", "examples:", "a score file holds", "--robustness"):
        assert word in output
    assert len(CONDITIONS) >= 9


def test_test_clips_that_choose_the_thresholds_are_named(run, files):
    scores, out = files / "a.jsonl", files / "out"
    code, output = run(
        "--scores", scores, "--validation-scores", scores, "--out", out, "--draws", 0
    )
    assert code == 0, output
    count = len(read_scores(scores))
    assert f"{count} of {count} test clips are also in {scores}" in results(out)["remarks"][0]
