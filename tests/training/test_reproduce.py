"""Reproduction of recorded runs with ``python -m fakesound.run --reproduce``."""

import json
import shutil

import numpy as np
import pytest
import soundfile

from fakesound.errors import InputError
from fakesound.report import read_run
from fakesound.run import _reproduce
from fakesound.training.reproduce import _recorded_config, verdict
from tests.conftest import fakesound, succeed


@pytest.fixture(scope="module")
def recorded(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded")
    few = ("report.draws=20", "report.examples=1", "logger=disabled")
    succeed("run", *small, *few, "hydra.run.dir=out", folder=folder)
    return folder / "out"


def test_a_repeated_run_is_equal_to_the_bit(recorded, tmp_path):
    done = succeed("run", "--reproduce", str(recorded), folder=tmp_path)
    assert done.stdout.startswith("agrees: all ")
    assert len(done.stdout.strip().splitlines()) == 1
    assert "circumstance" not in done.stderr
    assert "test/unseen/clip/auc" in done.stderr
    result, again = (
        json.loads((folder / "metrics.json").read_text())
        for folder in (recorded, tmp_path / "outputs" / "reproduced" / "out")
    )
    for metrics in (result, again):
        assert len(metrics.pop("provenance")["audio_hash"]) == 16
    assert result == again


def test_changes_are_listed_and_the_figures_do_not_agree(recorded, tmp_path):
    """Another audio file, another version, another figure."""
    record = shutil.copytree(recorded, recorded.with_name("changed"))
    metrics = json.loads((record / "metrics.json").read_text())
    metrics["provenance"]["versions"]["numpy"] = "1.2.3"
    metrics["provenance"]["code"] = "0" * 16
    block = metrics["test"]["all"]
    block["clip/auc"], block["ci"]["clip/auc"] = 2.0, [1.9, 2.1]
    (record / "metrics.json").write_text(json.dumps(metrics))
    listed = (record / "audio.sha256").read_text().splitlines()
    place = listed[0].split("  ")[1]
    listed[0] = "0" * 64 + "  " + place
    (record / "audio.sha256").write_text("\n".join(listed) + "\n")
    clip_id = place.split("/")[-1].removesuffix(".wav")

    done = fakesound("run", "--reproduce", str(record), folder=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("does not agree: ")
    rows = [line.split() for line in done.stderr.splitlines()]
    assert any(row[:2] == ["numpy", "1.2.3"] for row in rows)
    assert any(row[:3] == ["audio", "1:", clip_id] for row in rows)
    assert any(row[:1] == ["code"] for row in rows)
    assert any(row[:1] == ["test/all/clip/auc"] and row[-1] == "outside" for row in rows)


def test_an_incomplete_record_is_an_error_of_one_line(recorded, tmp_path, monkeypatch):
    broken = {}
    for name in ("metrics.json", "config.yaml", "manifest.jsonl", "scores.jsonl"):
        broken[name] = shutil.copytree(recorded, tmp_path / f"without {name}")
        (broken[name] / name).unlink()
    broken["cut"] = shutil.copytree(recorded, tmp_path / "cut")
    text = (recorded / "metrics.json").read_text()
    (broken["cut"] / "metrics.json").write_text(text[: len(text) // 2])
    other = shutil.copytree(recorded, tmp_path / "other")
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(config.replace("seed: 0", "seed: 1", 1))
    broken["is not the configuration"] = other
    broken["no such folder"] = tmp_path / "nowhere"
    monkeypatch.chdir(tmp_path)
    for words, folder in broken.items():
        with pytest.raises(InputError) as caught:
            _reproduce(["--reproduce", str(folder)])
        assert words in str(caught.value) or words == "cut"
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "outputs").exists()
    done = fakesound("run", "--reproduce", str(tmp_path / "nowhere"), folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def record(value=0.8, ends=(0.7, 0.9), device="cpu"):
    block = {"clip/auc": value, "ci": {"clip/auc": list(ends) if ends else None}}
    return {
        "test": {"all": block}, "objective": value, "provenance": {"device": device},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("then", "now", "changed", "agrees"),
    [
        (record(), record(), False, True),
        (record(), record(device="cuda:0"), True, True),
        (record(), record(0.85), False, False),
        (record(), record(0.85), True, True),
        (record(device="cuda:0"), record(0.85), False, True),
        (record(), record(0.95), True, False),
        (record(ends=None), record(0.85), True, False),
        (record(), record(None), True, False),
    ],
)
def test_verdicts(then, now, changed, agrees):
    """Bitwise equal results, or values in the recorded intervals in other circumstances."""
    result, text = verdict(then, now, changed)
    assert result == agrees
    assert text.startswith("agrees: " if agrees else "does not agree: ")
    assert "\n" not in text


def test_precision_and_threads_are_those_of_the_record(recorded, tmp_path):
    record = shutil.copytree(recorded, tmp_path / "recorded")
    metrics = json.loads((record / "metrics.json").read_text())
    metrics["provenance"] |= {"precision": "bf16-mixed", "threads": 1}
    (record / "metrics.json").write_text(json.dumps(metrics))
    config = _recorded_config(read_run(record), metrics["provenance"])
    assert config.trainer["precision"] == "bf16-mixed"
    assert config.trainer["devices"] == 1


def test_a_resumed_run_with_other_audio_is_refused(small, recorded, tmp_path):
    """A file that changed between two starts is an error."""
    run = shutil.copytree(recorded, tmp_path / "run")
    (run / "metrics.json").unlink()
    prepared = tmp_path / "prepared"
    (given,) = [text for text in small if text.startswith("data.prepared=")]
    shutil.copytree(given.removeprefix("data.prepared="), prepared)
    path = next(prepared.rglob("*.wav"))
    audio, rate = soundfile.read(path, dtype="int16")
    soundfile.write(path, np.bitwise_xor(audio, 1), rate, subtype="PCM_16")
    few = ("report.draws=20", "report.examples=1", "logger=disabled", "resume=auto")
    arguments = (*small, *few, f"data.prepared={prepared}", f"hydra.run.dir={run}")
    done = fakesound("run", *arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    assert path.name in done.stderr
    assert "resume=never" in done.stderr
