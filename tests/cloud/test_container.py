"""The entry point of the container, in a temporary /opt/ml."""

import signal
import subprocess
import sys

import pytest

from fakesound.cloud import container
from fakesound.cloud.jobs import CHECKPOINTS, expand
from tests.conftest import command, fakesound, read_results, succeed


@pytest.fixture
def root(tmp_path):
    (tmp_path / "ml" / "checkpoints").mkdir(parents=True)
    return tmp_path / "ml"


def arguments_of(words, root):
    """Return the arguments of the only job, in a folder of the test."""
    (job,) = expand(words, multirun=False)
    return [word.replace(CHECKPOINTS, str(root / "checkpoints")) for word in job.arguments]


def test_an_error_is_written_to_the_file_that_sagemaker_shows(root, tmp_path):
    words = ["--root", str(root), "experiment=smoke", "data.root=/nosuch"]
    done = fakesound("cloud.container", *words, folder=tmp_path)
    assert done.returncode == 2
    reason = (root / "output" / "failure").read_text()
    assert reason.startswith("error: data.root=/nosuch")
    assert reason in done.stderr
    assert "\n" not in reason


def test_a_folder_that_cannot_be_written_is_reported(root, tmp_path):
    (root / "checkpoints").rmdir()
    done = fakesound("cloud.container", "--root", str(root), "experiment=smoke", folder=tmp_path)
    assert done.returncode == 2
    assert "RUN_AS=root" in (root / "output" / "failure").read_text()


def test_a_long_reason_keeps_its_end(root, monkeypatch):
    text = "import sys\nfor i in range(999): print('line', i, file=sys.stderr)\nsys.exit(1)"
    real = subprocess.Popen
    monkeypatch.setattr(
        subprocess, "Popen", lambda _, **more: real([sys.executable, "-c", text], **more)
    )
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert container.run([], root) == 1
    finally:
        signal.signal(signal.SIGTERM, before)
    reason = (root / "output" / "failure").read_text()
    assert reason.endswith("line 998")
    assert len(reason) <= container.LONGEST_REASON


def test_recordings_in_s3_are_downloaded_and_manifests_are_not(tmp_path, monkeypatch):
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/b/audio/a.wav", b"audio")
    monkeypatch.setattr(fsspec, "filesystem", lambda _: S3(memory))
    monkeypatch.setattr(container.tempfile, "gettempdir", lambda: str(tmp_path))
    word = container.with_local_data("data.extra=[s3://b/audio,/here]")
    assert word == f"data.extra=[{tmp_path}/fakesound/b/audio,/here]"
    assert (tmp_path / "fakesound/b/audio/a.wav").read_bytes() == b"audio"
    assert container.with_local_data("data.train=[s3://b/m.jsonl]") == "data.train=[s3://b/m.jsonl]"


class S3:
    """Replace S3 by a store in memory."""

    def __init__(self, memory):
        self.memory = memory

    def get(self, address, target, recursive):
        self.memory.get(address.removeprefix("s3:/"), target, recursive=recursive)


@pytest.mark.slow
def test_an_interrupted_job_resumes_and_ends_with_the_same_scores(small, recordings, tmp_path):
    words = [*small, "epochs=4", "logger=disabled"]
    words = [w for w in words if not w.startswith(("data.root=", "data.prepared="))]
    folders = {}
    for name in ("whole", "broken"):
        root = tmp_path / name
        (root / "checkpoints").mkdir(parents=True)
        folders[name] = ["--root", str(root), *arguments_of(words, root)]
        folders[name].append(f"data.root={recordings}")
    succeed("cloud.container", *folders["whole"], folder=tmp_path)

    broken = tmp_path / "broken"
    with subprocess.Popen(
        command("cloud.container", *folders["broken"]), cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as first:
        while not list(broken.glob("checkpoints/*/epochs.jsonl")):
            assert first.poll() is None
        first.send_signal(signal.SIGTERM)
    assert first.returncode != 0
    assert not (broken / "output").exists()
    (folder,) = (broken / "checkpoints").iterdir()
    assert not (folder / "metrics.json").exists()
    again = succeed("cloud.container", *folders["broken"], folder=tmp_path)
    assert "training goes on from" in again.stderr or "resum" in again.stderr
    (undisturbed,) = (tmp_path / "whole" / "checkpoints").iterdir()
    assert read_results(undisturbed) == read_results(folder)
    scores = [(f / "scores.jsonl").read_bytes() for f in (undisturbed, folder)]
    assert scores[0] == scores[1]
