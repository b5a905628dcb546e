"""The verb: ``fakesound run``."""

import csv
import json
import math
import os
import re
import signal
import subprocess
import time

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.data import DataLoader, Dataset

from fakesound.config.compose import compose_config, run_config
from fakesound.config.saved import identity
from fakesound.errors import OutsideError
from fakesound.files import lock_folder
from fakesound.training.experiment import worker_crash_as_error
from fakesound.training.run_folder import folder_to_resume
from tests.conftest import command, fakesound, read_metrics, read_results, read_rows, succeed

BLOCK = {
    "clips", "clip/accuracy", "clip/balanced_accuracy", "clip/auc", "clip/auc_within_domain",
    "clip/ap", "clip/eer", "clip/min_dcf", "clip/act_dcf", "clip/cllr", "clip/ece", "frame/auc",
    "frame/ap", "frame/eer", "range_eer", "segment_f1_20ms", "segment_f1_1s", "event_f1",
    "add_score",
}  # fmt: skip


def test_a_run_writes_the_documented_files(finished_run):
    folder, done = finished_run
    for name in (
        "config.yaml", "metrics.json", "scores.jsonl", "validation_scores.jsonl", "manifest.jsonl",
        "report.html", "epochs.jsonl", "checkpoints/best.ckpt", "checkpoints/last.ckpt",
    ):  # fmt: skip
        assert (folder / name).stat().st_size > 0, name
    assert list(folder.glob("wandb/offline-run-*/*.wandb"))
    assert str(folder.name) in done.stderr
    assert "Clip AUC" in done.stderr
    for number in range(1, 5):
        assert f"[{number}/4]" in done.stderr


def test_the_log_of_a_run_has_its_plan_stages_epochs_and_result(finished):
    lines = [line.split(" ", 2)[2] for line in (finished / "run.log").read_text().splitlines()]
    assert lines[0].startswith("smoke: vim_micro")
    assert "held out: vocoder/quantised_phase" in lines
    assert [line[:5] for line in lines if line.startswith("[")] == [
        f"[{number}/4]" for number in range(1, 5)
    ]
    assert [line for line in lines if line.startswith("training: ")]
    assert "Clip AUC" in lines[-1]


def test_metrics_hold_every_block(finished):
    result = read_metrics(finished)
    assert set(result["validation"]) >= BLOCK
    assert set(result["test"]) == {"all", "seen", "unseen", "attack"}
    for name in ("all", "seen", "unseen"):
        assert set(result["test"][name]) >= BLOCK | {"ci"}
    assert set(result["baseline"]) == {"all_fake", "all_genuine", "prior"}
    assert result["provenance"]["held_out"] == ["vocoder/quantised_phase"]
    assert {
        "git",
        "versions",
        "config_hash",
        "manifest_hash",
        "device",
        "kernel",
        "seconds",
    } <= set(result["provenance"])
    assert "NaN" not in (finished / "metrics.json").read_text()


def test_half_of_the_unseen_clips_are_genuine(finished):
    rows = read_rows(finished / "scores.jsonl")
    unseen = [row for row in rows if row["fold"] == "unseen"]
    genuine = [row for row in rows if row["label"] == "genuine"]
    assert len(unseen) == len(genuine) > 0
    assert {row["attack"] for row in unseen} == {"vocoder/quantised_phase"}


def test_nothing_held_out_was_trained_on(finished):
    rows = read_rows(finished / "manifest.jsonl")
    parts = {
        part: [r for r in rows if r["split"] == part] for part in ("train", "validation", "test")
    }
    attacks = {part: {r["attack"] for r in rows} for part, rows in parts.items()}
    sources = {part: {r["source_id"] for r in rows} for part, rows in parts.items()}
    assert "vocoder/quantised_phase" not in attacks["train"] | attacks["validation"]
    assert "codec/adpcm" not in attacks["train"]
    assert not sources["train"] & sources["test"]
    assert not sources["validation"] & sources["test"]
    assert not sources["train"] & sources["validation"]


def test_the_report_needs_no_other_file(finished):
    page = (finished / "report.html").read_text()
    links = re.findall(r"(?:src|href)=\"([^\"]{0,60})", page)
    assert links
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "vocoder/quantised_phase" in page
    assert "<audio" in page


def test_the_same_seed_gives_the_same_results_with_another_logger(finished, small, tmp_path):
    again = tmp_path / "again"
    succeed("run", *small, "hydra.run.dir=again", "logger=csv", folder=tmp_path)
    assert read_results(again) == read_results(finished)
    with (again / "csv" / "version_0" / "metrics.csv").open() as file:
        logged = list(csv.DictReader(file))
    epochs = [json.loads(line) for line in (again / "epochs.jsonl").read_text().splitlines()]
    for epoch in epochs:
        key = "validation/frame/auc"
        assert any(row[key] and float(row[key]) == pytest.approx(epoch[key]) for row in logged)
    expected = read_metrics(again)["test"]["unseen"]["frame/auc"]
    assert float(logged[-1]["test/unseen/frame/auc"]) == pytest.approx(expected)


def logged_steps(folder):
    """Return the steps whose loss is in the TensorBoard files of a run."""
    result = set()
    for version in folder.glob("tensorboard/version_*"):
        events = EventAccumulator(str(version)).Reload()
        result |= {event.step for event in events.Scalars("step/loss")}
    return result


def test_a_killed_run_continues_and_ends_like_an_undisturbed_one(small, tmp_path):
    every_step = ("logger=tensorboard", "logger.every_steps=1")
    longer = (*small, "epochs=5", "steps=3", *every_step, "name=killed")
    succeed("run", *longer, "hydra.run.dir=whole", folder=tmp_path)
    with subprocess.Popen(command("run", *longer), cwd=tmp_path, stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and run.poll() is None:
            logs = list(tmp_path.glob("outputs/killed/*/epochs.jsonl"))
            if logs and len(logs[0].read_text().splitlines()) >= 2:
                break
            time.sleep(0.02)
        os.kill(run.pid, signal.SIGKILL)
    (folder,) = tmp_path.glob("outputs/killed/*")
    assert not (folder / "metrics.json").exists()
    succeed("run", *longer, "resume=auto", folder=tmp_path)
    assert list(tmp_path.glob("outputs/killed/*")) == [folder]
    assert read_metrics(folder)["provenance"]["resumed"]
    assert read_results(folder) == read_results(tmp_path / "whole")
    assert logged_steps(folder) == logged_steps(tmp_path / "whole") == {*range(1, 16)}
    once_more = fakesound("run", *longer, "resume=auto", folder=tmp_path)
    assert "finished before" in once_more.stderr


def test_a_folder_takes_one_run_at_a_time(small, tmp_path):
    """The second run is refused before it writes a file."""
    lock_folder(tmp_path / "out", "hydra.run.dir")
    done = fakesound("run", *small, "hydra.run.dir=out", folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert f"process {os.getpid()} on" in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".lock", ".owner"}


@pytest.mark.parametrize("counts", [(1, 3), (3, 1)])
def test_the_run_with_most_steps_resumes_for_any_clock(counts, small, tmp_path):
    config = run_config(compose_config(list(small)))
    names = ("2030-01-01_00-00-00", "1980-01-01_00-00-00")
    for name, lines in zip(names, counts, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "identity").write_text(identity(config))
        (tmp_path / name / "epochs.jsonl").write_text("{}\n" * lines)
    assert folder_to_resume(tmp_path, config) == tmp_path / names[counts.index(3)]


class Dying(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, number):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_data_loader_is_one_line():
    with (
        pytest.raises(OutsideError, match="a process that loads data ended") as caught,
        worker_crash_as_error(),
    ):
        list(DataLoader(Dying(), num_workers=1))
    assert "\n" not in str(caught.value)
    with pytest.raises(RuntimeError, match="another"), worker_crash_as_error():
        raise RuntimeError("another")


def test_a_run_starts_from_the_weights_of_another(finished, small, tmp_path):
    source = f"init.path={finished}"
    arguments = (*small, source, "hydra.run.dir=out", "logger=disabled", "report.examples=1")
    done = succeed("run", *arguments, folder=tmp_path)
    assert "weights of best.ckpt (a run)" in done.stderr
    loading = read_metrics(tmp_path / "out")["provenance"]["init"]
    assert loading["loaded"] > 50
    assert (loading["left"], loading["resized"], loading["converted"]) == ({}, {}, {})
    assert read_metrics(finished)["provenance"]["init"] is None


def test_unsuitable_weights_are_refused_before_preparation(finished, small, tmp_path):
    source = f"init.path={finished / 'checkpoints' / 'best.ckpt'}"
    arguments = (*small, source, "backbone.dim=48", "data.prepared=new")
    done = fakesound("run", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stderr.rstrip().endswith("has dim 32, yours has 48; use backbone.dim=32")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("experiment", ["clip", "frame"])
def test_single_task_controls_run(experiment, small, tmp_path):
    arguments = (*small, f"heads={experiment}", "logger=disabled", "report.examples=1")
    succeed("run", *arguments, "hydra.run.dir=out", folder=tmp_path)
    block = read_metrics(tmp_path / "out")["test"]["unseen"]
    assert block["clip/auc"] is not None
    assert (block["frame/auc"] is None) == (experiment == "clip")


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("data.root=/nowhere", ("data.root", "/nowhere")),
        ("backbone.dpeth=3", ("backbone.dpeth", "depth")),
        ("split.held_out=vocoder/nosuch", ("split.held_out", "vocoder/nosuch")),
        ("experiment=nosuch", ("nosuch", "mt_vim")),
        ("init.path=/nowhere/vim.pth", ("init.path=/nowhere/vim.pth", "no such file")),
    ],
)
def test_an_error_is_one_line(override, words, tmp_path):
    overrides = ["experiment=mt_vim", override] if not override.startswith("exp") else [override]
    done = fakesound("run", *overrides, folder=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    for word in words:
        assert word in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_corrupt_file_in_a_manifest_is_named(finished, tmp_path):
    rows = read_rows(finished / "manifest.jsonl")
    base = finished
    for row in rows:
        row["path"] = str((base / row["path"]).resolve())
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF not a sound file")
    genuine = next(row for row in rows if row["label"] == "genuine" and row["split"] == "test")
    genuine["path"] = str(broken)
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    held_out = ("split.held_out=vocoder/quantised_phase", "split.inner_held_out=codec/adpcm")
    arguments = ("experiment=smoke", f"data.manifest={manifest}", *held_out)
    done = fakesound("run", *arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "broken.wav" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"broken.wav", "manifest.jsonl"}
    arguments = (*arguments, "data.on_bad_audio=skip", "hydra.run.dir=out", "logger=disabled")
    done = succeed("run", *arguments, folder=tmp_path)
    assert len(read_metrics(tmp_path / "out")["provenance"]["left_out"]) == 1


def test_a_sweep_repeats_only_missing_runs(small, tmp_path):
    sweep = ("-m", *small, "name=sweep", "logger=disabled", "resume=auto", "seed=0,1,2")
    with subprocess.Popen(command("run", *sweep), cwd=tmp_path, stderr=subprocess.DEVNULL) as run:
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline and run.poll() is None:
            if list(tmp_path.glob("outputs/sweep/*/metrics.json")):
                break
            time.sleep(0.02)
        os.kill(run.pid, signal.SIGKILL)
    before = {
        path: path.stat().st_mtime_ns for path in tmp_path.glob("outputs/sweep/*/metrics.json")
    }
    assert 1 <= len(before) < 3
    succeed("run", *sweep, folder=tmp_path)
    after = {
        path: path.stat().st_mtime_ns for path in tmp_path.glob("outputs/sweep/*/metrics.json")
    }
    assert len(after) == 3
    assert all(after[path] == moment for path, moment in before.items())
    compared = json.loads((tmp_path / "outputs/sweep/comparison.json").read_text())
    assert sorted(row["seed"] for row in compared["runs"]) == [0, 1, 2]
    assert all(row["parameters"] > 0 for row in compared["runs"])
    # one group at W&B, and in it each run by what it varies
    configs = [
        yaml.safe_load(path.read_text()) for path in tmp_path.glob("outputs/sweep/*/config.yaml")
    ]
    assert {config["logger"]["group"] for config in configs} == {"sweep"}
    assert len({config["name"] for config in configs}) == 3
    for name in ("comparison.csv", "comparison.html"):
        assert (tmp_path / "outputs/sweep" / name).stat().st_size > 0


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_runs_of_a_sweep_go_side_by_side(small, tmp_path, monkeypatch):
    """Runs forge one after the other and share the cores."""
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    arguments = ("-m", *small, "name=sweep", "logger=disabled", "hydra/launcher=joblib")
    arguments = (*arguments, "hydra.launcher.n_jobs=2", "data.prepared=new")
    varied = ("optim.lr=0.001,0.003", "seed=0,1")
    succeed("run", *arguments, *varied, folder=tmp_path, timeout=900)
    result = [read_metrics(path.parent) for path in tmp_path.glob("outputs/sweep/*/metrics.json")]
    assert len(result) == 4
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert {each["provenance"]["threads"] for each in result} == {max(1, cores // 2)}
    (journal,) = tmp_path.glob("new/*/journal.jsonl")
    clips = [json.loads(line)["clip_id"] for line in journal.read_text().splitlines()]
    assert len(clips) == len(set(clips)) > 0
    # the last bits of torch's sums depend on the number of threads
    monkeypatch.setenv("OMP_NUM_THREADS", str(max(1, cores // 2)))
    succeed("run", *small, "seed=1", "optim.lr=0.003", "logger=disabled", folder=tmp_path)
    (folder,) = tmp_path.glob("outputs/smoke/*")
    assert read_metrics(folder)["validation"] in [each["validation"] for each in result]


@pytest.mark.slow
def test_optuna_asks_for_runs_and_continues(small, tmp_path):
    pytest.importorskip("optuna")
    search = ("-m", *small, "sweep=optuna", "logger=disabled", "hydra.sweeper.trials=1")
    succeed("run", *search, folder=tmp_path, timeout=600)
    (path,) = tmp_path.glob("outputs/optuna/*/metrics.json")
    import optuna

    store = f"sqlite:///{tmp_path / 'outputs/optuna/trials.db'}"
    (trial,) = optuna.load_study(study_name="sweep", storage=store).trials
    assert trial.value == read_metrics(path.parent)["objective"]
    succeed("run", *search, folder=tmp_path, timeout=600)
    assert list(tmp_path.glob("outputs/optuna/*/metrics.json")) == [path]


def test_a_sweep_with_an_error_does_not_start(tmp_path):
    done = fakesound("run", "-m", "sweep=loss_weighting", "backbone.dpeth=3", folder=tmp_path)
    assert done.returncode == 2
    assert "backbone.dpeth" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_resolved_configuration_is_that_of_the_run(finished):
    config = yaml.safe_load((finished / "config.yaml").read_text())
    assert config["split"]["held_out"] == "vocoder/quantised_phase"
    assert math.isclose(config["optim"]["lr"], 3e-3)


def test_help_explains_the_options(tmp_path):
    done = fakesound("run", "--help", folder=tmp_path)
    assert done.returncode == 0
    for words in ("experiment=", "mt_vim", "sweep=", "data.root", "resume"):
        assert words in done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("-m",), "fakesound run -m"),
        (("--foo",), "--foo"),
        (("--epochs", "3"), "did you mean epochs=VALUE?"),
        (("--optim.lr=1",), "did you mean optim.lr=1?"),
        (("experiment = smoke",), "did you mean experiment=smoke?"),
        (("--keys", "data", "crop"), "crop"),
        (("experiment=smoke", "--keys", "epochs"), "experiment=smoke"),
    ],
)
def test_arguments_without_a_meaning_start_nothing(arguments, named, tmp_path):
    done = fakesound("run", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert named in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["original", "original_cnn"])
def test_the_2024_systems_train(name, small, tmp_path):
    width = "backbone.dim=32" if name == "original" else "backbone.stem.channels=[4,8,8,8]"
    done = fakesound(
        "run", f"experiment={name}", *small[1:], "epochs=1", "steps=2", "data.train_attacks=1",
        "data.evaluation_attacks=1", "data.batch_size=4", "backbone.depth=1", width,
        "data.crop.seconds=2", "data.window_seconds=2", "report.draws=20", "report.examples=0",
        "logger=disabled", "hydra.run.dir=out", folder=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = read_metrics(tmp_path / "out")
    assert result["provenance"]["kernel"] == ("none" if name == "original_cnn" else "cpu")
    unseen = result["test"]["unseen"]
    assert unseen["clip/auc"] is not None
    assert unseen["frame/auc"] is not None
