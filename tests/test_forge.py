"""The verb: ``fakesound forge``."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import soundfile

from fakesound.attacks import ATTACKS
from fakesound.data.manifest import read_manifest
from fakesound.data.splits import split_clips


@pytest.fixture
def run(run_verb):
    """Run the verb in this process; return the exit code and the output."""
    return partial(run_verb, "forge")


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "tapes"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(7):
        audio = np.sin(np.arange(11_025) * 0.05 * (number + 1)) * rng.uniform(0.1, 0.5)
        audio += rng.normal(0, 0.02, len(audio))
        soundfile.write(folder / f"{number}.wav", audio, 11_025)
    return folder


def test_a_folder_becomes_a_corpus(run, recordings, tmp_path):
    out = tmp_path / "out"
    options = ["--attacks", "codec/adpcm", "separation/*", "--workers", 1, "--train-fakes", 2]
    code, stdout, stderr = run(recordings, out, *options)
    assert code == 0
    assert stdout == f"{out / 'manifest.jsonl'}\n"
    assert "share of time fake" in stderr
    assert "shortcut audit: AUC" in stderr
    clips = read_manifest(out / "manifest.jsonl")
    split = split_clips(clips)
    assert {clip.attack for clip in clips if clip.is_fake} == {
        "codec/adpcm",
        "separation/harmonic_percussive",
        "separation/spectral_gate",
    }
    assert sum(clip.is_fake for clip in split.train) == 2 * sum(
        not clip.is_fake for clip in split.train
    )
    before = (out / "manifest.jsonl").read_bytes()
    assert run(recordings, out, *options)[:2] == (0, stdout)
    assert (out / "manifest.jsonl").read_bytes() == before


def test_bad_recordings_are_counted_where_they_are_skipped(run, recordings, tmp_path):
    (recordings / "bad.wav").write_text("no audio" * 100)
    options = [recordings, tmp_path / "out", "--attacks", "codec/adpcm", "--workers", "1"]
    code, _, stderr = run(*options)
    assert code == 2
    assert str(recordings / "bad.wav") in stderr
    assert not (tmp_path / "out" / "manifest.jsonl").exists()
    code, _, stderr = run(*options, "--on-bad-audio", "skip")
    assert code == 0
    assert "left out: " in stderr
    assert "bad.wav" in stderr
    assert len(read_manifest(tmp_path / "out" / "manifest.jsonl")) > 7


def test_the_list_names_every_attack(run):
    code, stdout, _ = run("--list")
    assert code == 0
    assert all(name in stdout for name in ATTACKS)


def test_help_explains_the_options(run):
    code, stdout, _ = run("--help")
    assert code == 0
    for option in ("--attacks", "--seed", "--on-bad-audio", "--fixed-training", "FOLDER", "OUT"):
        assert option in stdout


def test_a_wrong_attack_is_one_line_without_traceback(recordings, tmp_path):
    command = [sys.executable, "-m", "fakesound.forge", recordings, tmp_path / "out"]
    done = subprocess.run(
        [*command, "--attacks", "codec/adpcm", "vocoder/wrld"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: --attacks=vocoder/wrld: no such attack")
    assert "vocoder/world" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--seed", "-1"], "--seed=-1"),
        (["--workers", "0"], "--workers=0"),
        (["--sample-rate", "100"], "--sample-rate=100"),
        (["--clip-seconds", "0"], "--clip-seconds=0"),
        (["--clip-seconds", "nan"], "--clip-seconds=nan"),
        (["--train-fakes", "-2"], "--train-fakes=-2"),
    ],
)
def test_wrong_numbers_name_their_option(run, recordings, tmp_path, options, message):
    code, _, line = run(recordings, tmp_path / "out", *options)
    assert code == 2
    assert line.startswith(f"error: {message}")
    assert line.count("\n") == 1


def test_wrong_paths_are_refused(run, recordings, tmp_path):
    (tmp_path / "file").touch()
    for folder, out, message in [
        (tmp_path / "lost", tmp_path / "out", "no such folder"),
        (recordings, recordings / "out", "would be read as genuine"),
        (recordings, tmp_path / "file", "is a file"),
    ]:
        code, _, line = run(folder, out)
        assert code == 2
        assert message in line
        assert line.count("\n") == 1
    assert run(recordings)[0] == 2
    assert "OUT is missing" in run(recordings)[2]
