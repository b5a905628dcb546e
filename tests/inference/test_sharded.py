"""Workers give the rows of one process, even if some are killed."""

import json
import os
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fakesound import detect
from fakesound.errors import InputError, OutsideError
from fakesound.inference import Detector, sharded
from fakesound.inference.batch import MIX, detect_files
from fakesound.inference.formats import to_csv, to_jsonl
from fakesound.inference.inputs import named_files
from fakesound.inference.sharded import RESULTS, SHARDS, TABLE, Settings, detect_in_shards
from fakesound.inference.workers import workers_of

RATE = 16_000
score_shard = sharded.score_shard


def killing(shard, settings):
    """Score a shard in a process that some of its files kill."""
    detected = Detector.detect

    def deadly(self, recording, **options):
        path = Path(recording)
        once = path.with_suffix(".killed")
        if path.stem.startswith("deadly") or (path.stem == "once" and not once.exists()):
            once.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return detected(self, recording, **options)

    Detector.detect = deadly
    return score_shard(shard, settings)


def dying(shard, settings):
    os._exit(1)


@pytest.fixture(scope="module")
def pretrained():
    return Detector.from_pretrained()


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    place = tmp_path / "in"
    place.mkdir()
    for name in ("a", "b", "deadly", "d", "e", "once", "x", "z"):
        soundfile.write(place / f"{name}.wav", rng.normal(0, 0.1, RATE // 2), RATE)
    (place / "x.wav").write_bytes(b"no audio")
    return place


@pytest.fixture
def settings(pretrained):
    return Settings("default", pretrained.model.sha256, "onnx", "cpu", 0.6, 0.5, MIX, True)


def run(folder, settings, workers="2"):
    with named_files([str(folder)]) as files:
        return detect_in_shards(files, folder.parent / "out", settings, workers, {})


def without_time(text):
    rows = [json.loads(line) for line in text.splitlines()]
    for row in rows:
        del row["created"]
    return rows


def forbidden(*_):
    raise AssertionError("a shard that is done was scored again")


def test_rows_are_those_of_one_process_though_workers_are_killed(
    folder, settings, pretrained, monkeypatch
):
    monkeypatch.setattr(sharded, "FILES", 3)
    monkeypatch.setattr(sharded, "score_shard", killing)
    counts = run(folder, settings)
    assert counts.total() == 8
    assert counts["error"] == 2
    with named_files([str(folder)]) as files:
        expected = list(detect_files(pretrained, files))
    out = folder.parent / "out"
    result = without_time((out / RESULTS).read_text())
    wanted = without_time(to_jsonl(expected, pretrained.record(), frames=True))
    results = [row["results"][0] for row in result]
    deadly = next(row for row in results if row["path"].endswith("deadly.wav"))
    assert "3 processes" in deadly["error"]
    assert [row for row in result if "deadly" not in row["results"][0]["path"]] == [
        row for row in wanted if "deadly" not in row["results"][0]["path"]
    ]
    assert (folder / "once.killed").exists()
    table = to_csv(expected, pretrained.record()).splitlines()
    merged = (out / TABLE).read_text().splitlines()
    cut = [line.rpartition(",")[0] for line in merged if "deadly" not in line]
    assert cut == [line.rpartition(",")[0] for line in table if "deadly" not in line]
    assert len([*(out / SHARDS).iterdir()]) == 6


def test_the_same_command_scores_only_missing_files(folder, settings, monkeypatch):
    monkeypatch.setattr(sharded, "FILES", 3)
    run(folder, settings, "1")
    out = folder.parent / "out"
    before = (out / RESULTS).read_bytes()
    shards = {path: path.stat().st_mtime_ns for path in (out / SHARDS).glob("*.jsonl")}
    monkeypatch.setattr(sharded, "score_shard", forbidden)
    run(folder, settings, "1")
    assert (out / RESULTS).read_bytes() == before
    monkeypatch.setattr(sharded, "score_shard", score_shard)
    lost = min(shards)
    lost.unlink()
    (folder / "z.wav").unlink()
    shutil.copy(folder / "a.wav", folder / "z.wav")
    run(folder, settings, "1")
    after = {path: path.stat().st_mtime_ns for path in (out / SHARDS).glob("*.jsonl")}
    assert len(after) == 3
    kept = {path for path in after if shards.get(path) == after[path]}
    assert len(kept) == len(shards.keys() & after.keys()) - (lost in after)
    rows = [row["results"][0] for row in without_time((out / RESULTS).read_text())]
    assert rows[-1]["sha256"] == rows[0]["sha256"]


def test_results_of_other_recordings_are_kept(folder, settings, tmp_path):
    run(folder, settings, "1")
    before = (folder.parent / "out" / RESULTS).read_bytes()
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "a.wav", other / "c.wav")
    with named_files([str(other)]) as files, pytest.raises(InputError, match="other recordings"):
        detect_in_shards(files, folder.parent / "out", settings, "1", {})
    assert (folder.parent / "out" / RESULTS).read_bytes() == before


def test_workers_that_end_before_they_read_a_file_end_the_command(folder, settings, monkeypatch):
    monkeypatch.setattr(sharded, "score_shard", dying)
    with pytest.raises(OutsideError, match="3 workers crashed"):
        run(folder, settings, "1")


def test_a_checkpoint_that_differs_on_a_host_is_an_error(folder, settings):
    other = Settings(**(vars(settings) | {"sha256": "0"}))
    with pytest.raises(InputError, match="differs between hosts"):
        run(folder, other, "1")


def test_jobs_of_submitit(folder, settings):
    pytest.importorskip("submitit")
    with named_files([str(folder)]) as files:
        counts = detect_in_shards(
            files, folder.parent / "out", settings, "slurm", {"cluster": "local"}
        )
    assert (counts.total(), counts["error"]) == (8, 1)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("--workers", "2"), "--workers=2"),
        (("--worker-option", "a=1"), "--worker-option=a: needs"),
        (("--out", "o", "--json", "a.json"), "--json"),
        (("--out", "o", "--workers", "0"), "--workers=0"),
        (("--out", "o", "--workers", "slrum"), "did you mean slurm"),
        (("--out", "o", "--worker-option", "a=1"), "--worker-option=a"),
        (("--out", "o", "--worker-option", "a"), "KEY=VALUE"),
        (("--out", "in/a.wav"), "--out=in/a.wav"),
    ],
)
def test_wrong_options(folder, arguments, key, monkeypatch, capsys):
    monkeypatch.chdir(folder.parent)
    monkeypatch.setattr(sys, "argv", ["detect", "in", *arguments])
    with pytest.raises(SystemExit) as end:
        detect.main()
    assert end.value.code == 2
    assert key in capsys.readouterr().err


def test_a_manifest_from_the_command_line(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder.parent)
    rows = [{"path": f"in/{name}.wav"} for name in ("a", "x")]
    Path("m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setattr(sys, "argv", ["detect", "m.jsonl", "--out", "o", "--workers", "1"])
    with pytest.raises(SystemExit) as end:
        detect.main()
    assert end.value.code == detect.SOME_UNREADABLE
    counts = dict(line.split("\t") for line in capsys.readouterr().out.splitlines())
    assert counts["error"] == "1"
    result = [row["results"][0]["path"] for row in without_time(Path("o", RESULTS).read_text())]
    assert result == [str(folder / "a.wav"), str(folder / "x.wav")]


def test_files_of_a_store_are_scored(folder, pretrained):
    fsspec = pytest.importorskip("fsspec")
    store = fsspec.filesystem("memory")
    store.put(str(folder), "/store", recursive=True)
    with named_files(["memory://store"]) as files:
        result = list(detect_files(pretrained, files))
    store.rm("/store", recursive=True)
    with named_files([str(folder)]) as files:
        expected = list(detect_files(pretrained, files))
    assert result[0].path.endswith("/store/a.wav")
    assert [r.detection and (r.detection.score, r.detection.sha256) for r in result] == [
        r.detection and (r.detection.score, r.detection.sha256) for r in expected
    ]


def test_a_missing_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("fakesound.inference.workers.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"--workers=ray: .*'\.\[ray\]'"):
        workers_of("ray", {}, tmp_path, 0)
