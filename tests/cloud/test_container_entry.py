"""The container's entry, in a made-up /opt/ml."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest

from fakesound.cloud import container_entry as sagemaker
from fakesound.cloud.printed import EPOCH, OBJECTIVE, metric_definitions
from fakesound.scoring.checkpoint import load_detector
from tests.conftest import command, fakesound

SLOW_CHILD = """
import signal, sys, time
def stop(*_):
    print("ending", file=sys.stderr)
    sys.exit(7)
signal.signal(signal.SIGTERM, stop)
print("ready", file=sys.stderr, flush=True)
time.sleep(60)
"""


def tell(root, hyperparameters, channels=()):
    config = root / "input" / "config"
    config.mkdir(parents=True)
    for name, content in (
        ("hyperparameters", hyperparameters),
        ("resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1"]}),
        ("inputdataconfig", {name: {} for name in channels}),
    ):
        (config / f"{name}.json").write_text(json.dumps(content))


def python(text):
    return [sys.executable, "-c", text]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(sagemaker, "SECONDS", 0.05)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raise SystemExit(0)", 0),
        ("raise SystemExit(2)", 2),
        ("raise SystemExit('no')", 1),
        ("import os; os.kill(os.getpid(), 9)", 137),
    ],
)
def test_exit_codes_are_kept(tmp_path, text, expected):
    assert sagemaker._watched(python(text), tmp_path)[0] == expected


@pytest.mark.usefixtures("quick")
def test_errors_are_shown_and_their_last_lines_kept(tmp_path, capfd):
    text = "import sys\nfor i in range(99): print(i, file=sys.stderr)\nprint('out')\nsys.exit(3)"
    code, stopped, last = sagemaker._watched(python(text), tmp_path)
    assert (code, stopped, last[-1], len(last)) == (3, False, "98", sagemaker.KEPT_LINES)
    shown = capfd.readouterr()
    assert shown.err.split() == [str(number) for number in range(99)]
    assert shown.out == "out\n"


@pytest.mark.usefixtures("quick")
def test_figures_of_epochs_are_printed_as_they_come(tmp_path, capfd):
    log = tmp_path / "epochs.jsonl"
    log.write_text(json.dumps({"epoch": 0, "train/loss": 9.0}) + "\n")
    row = {"epoch": 1, "step": 5, "train/loss": 1e-8, "validation/clip/auc": 0.75}
    text = f"open({str(log)!r}, 'a').write({json.dumps(row)!r} + chr(10))"
    sagemaker._watched(python(text), tmp_path)
    # the one that was there before an interruption was printed then
    assert capfd.readouterr().out == "epoch 1: train/loss=1e-08 validation/clip/auc=0.75\n"


@pytest.mark.usefixtures("quick")
def test_a_worker_that_outlives_the_run_does_not_hold_it_up(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(sagemaker, "SECONDS_TO_READ", 0.1)
    text = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"
    assert sagemaker._watched(python(text), tmp_path)[0] == 0
    # fails if it is over
    os.kill(int(capfd.readouterr().out), signal.SIGKILL)


@pytest.mark.usefixtures("quick")
def test_a_signal_is_passed_on_and_its_end_waited_for(tmp_path, monkeypatch):
    said = []

    def pass_on(stream, last):
        with stream:
            for line in stream:
                said.append(line)
                if line == b"ready\n":
                    os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(sagemaker, "_pass_on", pass_on)
    before = signal.getsignal(signal.SIGTERM)
    code, stopped, _ = sagemaker._watched(python(SLOW_CHILD), tmp_path)
    assert (code, stopped, said) == (7, True, [b"ready\n", b"ending\n"])
    assert signal.getsignal(signal.SIGTERM) is before


def test_figures_are_found_in_the_lines_that_are_printed(tmp_path):
    """By SageMaker, which is given these expressions."""
    figures = dict(zip(EPOCH, (1.25, -3e-08, 0.5, 1.0), strict=True))
    lines = [sagemaker.epoch_line({"epoch": 3, "step": 9, "train/frame_loss": 7.0} | figures)]
    (tmp_path / "metrics.json").write_text(json.dumps({OBJECTIVE: 0.8125}))
    lines.append(sagemaker.result_line(tmp_path))
    found = {
        metric["Name"]: [float(text) for text in re.findall(metric["Regex"], "\n".join(lines))]
        for metric in metric_definitions()
    }
    assert found == {name: [value] for name, value in {**figures, OBJECTIVE: 0.8125}.items()}


def test_no_figure_is_no_number(tmp_path):
    lines = [sagemaker.epoch_line({"epoch": 0, "train/loss": float("nan")})]
    (tmp_path / "metrics.json").write_text(json.dumps({OBJECTIVE: None}))
    lines.append(sagemaker.result_line(tmp_path))
    for metric in metric_definitions():
        assert not re.findall(metric["Regex"], "\n".join(lines))


@pytest.mark.parametrize(
    ("hyperparameters", "said"),
    [
        ({"backbone.dpeth": "3"}, "backbone.dpeth: no such key; did you mean depth?"),
        ({"sweep": "backbone"}, "sweep: a job does one run"),
        ({"experiment": "smoke", "data.root": "/nosuch"}, "data.root"),
    ],
)
def test_a_mistake_is_told_where_sagemaker_looks(tmp_path, hyperparameters, said):
    tell(tmp_path, hyperparameters)
    done = fakesound("cloud.container_entry", "train", str(tmp_path), folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    reason = (tmp_path / "output" / "failure").read_text()
    assert reason.startswith("error: ")
    assert said in reason
    assert "\n" not in reason
    assert not list(tmp_path.glob("model/*"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    tell(tmp_path, {"experiment": "smoke"})
    (tmp_path / "checkpoints").write_text("not a folder")
    done = fakesound("cloud.container_entry", str(tmp_path), folder=tmp_path)
    assert done.returncode == 2
    assert "checkpoints: cannot be written by this user; build the image" in done.stderr


def test_a_long_reason_is_cut_to_its_end():
    last = [f"line {number}" for number in range(400)]
    reason = sagemaker._reason(1, last)
    assert reason.startswith("exit code 1: ")
    assert reason.endswith("line 399")
    assert len(reason) <= sagemaker.LONGEST_REASON
    assert sagemaker._reason(2, [*last, "error: a: b", "after"]) == "error: a: b"


def results(folder):
    found = json.loads((folder / "metrics.json").read_text())
    found.pop("provenance")
    return found


@pytest.mark.slow
def test_a_job_is_done_interrupted_and_gone_on_with(small, recordings, tmp_path):
    """The whole way of a spot machine, and what it leaves against the same run done by hand."""
    words = [w for w in small if not w.startswith("data.root=")] + ["epochs=4", "logger=disabled"]
    hyperparameters = dict(word.partition("=")[::2] for word in words)
    for name in ("whole", "broken"):
        tell(tmp_path / name, hyperparameters | {"name": json.dumps("job")}, channels=["root"])
        (tmp_path / name / "input" / "data").mkdir()
        (tmp_path / name / "input" / "data" / "root").symlink_to(recordings)
    whole = fakesound("cloud.container_entry", "train", str(tmp_path / "whole"), folder=tmp_path)
    assert whole.returncode == 0, whole.stderr
    assert len(re.findall(r"^epoch \d: train/loss=", whole.stdout, flags=re.MULTILINE)) == 4
    assert re.search(r"^result: objective=0\.\d+$", whole.stdout, flags=re.MULTILINE)

    broken = tmp_path / "broken"
    with subprocess.Popen(
        command("cloud.container_entry", "train", str(broken)),
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if line.startswith("epoch 0:"):
                first.send_signal(signal.SIGTERM)
                break
        first.stdout.read()
    assert first.returncode != 0
    assert not (broken / "output" / "failure").exists()
    (folder,) = (broken / "checkpoints").iterdir()
    assert (folder / "checkpoints" / "last.ckpt").is_file()
    assert not (folder / "metrics.json").exists()
    # a new machine has the checkpoints and nothing else
    again = fakesound("cloud.container_entry", "train", str(broken), folder=tmp_path)
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("going on: ")
    assert "epoch 0:" not in again.stdout

    (undisturbed,) = (tmp_path / "whole" / "checkpoints").iterdir()
    kept = broken / "output" / "data"
    assert results(kept) == results(folder)
    clips = [(f / "scores.jsonl").read_text() for f in (undisturbed, folder)]
    assert clips[0] == clips[1]
    assert not (kept / "checkpoints").exists()
    detector, config = load_detector(broken / "model" / "detector.safetensors")
    assert config.data.root == "root"
    assert detector is not None
    # done once more, as when the machine was taken away at the very end
    third = fakesound("cloud.container_entry", str(broken), folder=tmp_path)
    assert third.returncode == 0
    assert "finished before" in third.stderr
