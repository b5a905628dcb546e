"""The verb: ``fakesound prepare``."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fakesound import prepare
from fakesound.corpora import CORPORA, genuine_recordings
from fakesound.corpora.genuine_recordings import Source
from fakesound.data.location import parse_location
from fakesound.data.manifest import read_manifest
from tests.conftest import fakesound
from tests.corpora.public_sources import build_repository, encoded, sound


@pytest.fixture
def recordings(tmp_path):
    """Return a user's folder: three genuine recordings, and a fake of each."""
    rng = np.random.default_rng(0)
    for name in "abc":
        for place in ("genuine", "fake/vocoder/world"):
            path = tmp_path / "tapes" / place / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, rng.normal(0, 0.1, 8_000), 8_000)
    return tmp_path / "tapes"


@pytest.fixture
def run(run_verb, monkeypatch, tmp_path):
    """Run the verb in this process, in a folder of its own; return the exit code and the output."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return partial(run_verb, "prepare")


def test_a_folder_becomes_a_manifest(recordings, tmp_path):
    place = tmp_path / "here"
    place.mkdir()
    done = fakesound("prepare", "folder", str(recordings), folder=place)
    assert (done.returncode, done.stdout) == (0, "prepared/tapes/manifest.jsonl\n")
    assert "vocoder/world" in done.stderr
    clips = read_manifest(place / "prepared/tapes/manifest.jsonl")
    assert [(clip.source_id, clip.label) for clip in clips] == [
        *((name, "fake") for name in "abc"),
        *((name, "genuine") for name in "abc"),
    ]
    row = json.loads((place / "prepared/tapes/manifest.jsonl").read_text().splitlines()[0])
    assert row["path"] == "../../../tapes/fake/vocoder/world/a.wav"
    assert {entry.name for entry in (place / "prepared/tapes").iterdir()} == {"manifest.jsonl"}


def test_missing_files_are_an_error_unless_allowed(run, recordings):
    table = recordings / "t.csv"
    rows = ["path,label,attack", "genuine/a.wav,real,", "lost.wav,real,", "genuine/b.wav,9,"]
    table.write_text("\n".join([*rows, "fake/vocoder/world/a.wav,fake,vocoder/world"]))
    options = ("csv", table, "--out=o")
    code, stdout, stderr = run(*options)
    assert (code, stdout) == (2, "")
    assert "missing: 1" in stderr
    last = stderr.splitlines()[-1]
    assert last.startswith(f"error: {table}: 1 files are missing, 1 rows cannot be used (all in")
    assert last.endswith("add --allow-missing to leave them out")
    problems = (recordings.parent / "here/o/problems.txt").read_text().splitlines()
    assert [line[:9] for line in problems] == ["t.csv row"] * 2
    assert not (recordings.parent / "here/o/manifest.jsonl").exists()

    code, stdout, stderr = run(*options, "--allow-missing")
    assert (code, stdout) == (0, "o/manifest.jsonl\n")
    assert "left out: 2 rows" in stderr
    manifest = recordings.parent / "here/o/manifest.jsonl"
    assert [clip.clip_id for clip in read_manifest(manifest)] == [
        "genuine/a.wav",
        "fake/vocoder/world/a.wav",
    ]

    table.write_text("\n".join([rows[0], rows[1]]))
    assert run(*options)[0] == 0
    assert not (recordings.parent / "here/o/problems.txt").exists()


def test_an_unusable_corpus_names_its_source(run, tmp_path):
    lists = tmp_path / "FakeSound/meta_data"
    lists.mkdir(parents=True)
    row = {"audio_id": "9IIa7qH29ps", "label": 0, "onset_offset": "0_0", "filepath": "a/b.wav"}
    (lists / "easy.json").write_text(json.dumps({"audios": [row]}))
    code, stdout, stderr = run("fakesound", tmp_path, "--allow-missing")
    assert (code, stdout) == (2, "")
    assert "https://audiocaps.github.io" in stderr.splitlines()[-1]
    assert "no clip of fakesound can be used (1 files are missing)" in stderr.splitlines()[-1]


def test_the_manifest_of_another_folder_is_kept(run, tmp_path, recordings, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("mine", "other/mine"):
        shutil.copytree(recordings, tmp_path / folder)
    assert run("folder", "mine")[0] == 0
    manifest = tmp_path / "prepared" / "mine" / "manifest.jsonl"
    before = manifest.read_bytes()
    code, _, stderr = run("folder", "other/mine")
    assert code == 2
    assert "--out" in stderr
    assert manifest.read_bytes() == before
    assert run("folder", "mine")[0] == 0
    assert run("folder", "other/mine", "--out", "prepared/theirs")[0] == 0


def test_paths_hold_where_the_output_is_a_link(run, recordings, tmp_path):
    (tmp_path / "far/deep/er").mkdir(parents=True)
    (tmp_path / "here/link").symlink_to(tmp_path / "far/deep/er")
    assert run("folder", recordings, "--out=link/o")[0] == 0
    assert len(read_manifest(tmp_path / "here/link/o/manifest.jsonl")) == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out=o"], "CORPUS: missing; name a data set, --list shows all"),
        (["partial_spoof", "."], "argument CORPUS: 'partial_spoof' is not one of"),
        (["folder"], "ROOT: missing"),
        (["folder", "lost"], "lost: no such folder"),
        (["csv", "lost.csv"], "lost.csv: no such file or folder"),
        (["folder", ".", "--ot=x"], "unrecognized arguments: --ot=x; did you mean --out?"),
        (["folder", ".", ".."], "unrecognized arguments: .."),
        (["folder", ".", "--out=file"], "--out file: is a file"),
        (["folder", "."], ".: no folder of genuine or fake audio"),
        (["asvspoof2019_la", "."], ".: no file of the data set found"),
    ],
)
def test_wrong_arguments_are_one_line(run, tmp_path, arguments, message):
    (tmp_path / "here/file").touch()
    code, printed, line = run(*arguments)
    assert (code, printed) == (2, "")
    assert line.startswith(f"error: {message}")
    assert line.count("\n") == 1
    assert [entry.name for entry in (tmp_path / "here").iterdir()] == ["file"]


def test_the_list_and_the_help_name_everything(run):
    code, stdout, _ = run("--list")
    assert code == 0
    assert all(f"{name}: {corpus.summary}" in stdout for name, corpus in CORPORA.items())
    code, stdout, _ = run("--help")
    assert code == 0
    for word in (
        *prepare.OWNERS,
        "allow-missing",
        "twins",
        "donor_ids",
        "genuine/",
        "fake/FAMILY/GENERATOR",
    ):
        assert word.replace("_", "-") in stdout.replace("_", "-")


def test_a_corpus_goes_into_shards(recordings, run, tmp_path):
    code, stdout, stderr = run("folder", recordings, "--shards", "--out=plain")
    assert (code, stdout) == (0, "plain/manifest.jsonl\n"), stderr
    clips = read_manifest(tmp_path / "here/plain/manifest.jsonl")
    assert [parse_location(clip.location).member for clip in clips] == [
        f"{number:08}.wav" for number in range(6)
    ]
    row = json.loads((tmp_path / "here/plain/manifest.jsonl").read_text().splitlines()[1])
    assert row["path"].startswith("shards/00000.tar::00000001.wav@")
    assert (tmp_path / "here/plain/shards/00000.tar").is_file()


def test_a_manifest_goes_into_shards(recordings, run, tmp_path):
    run("folder", recordings, "--out=plain")
    place = tmp_path / "here"
    manifest = "--manifest=plain/manifest.jsonl"
    assert run(manifest, "--out=packed")[:2] == (0, "packed/manifest.jsonl\n")
    own, packed = (read_manifest(place / name / "manifest.jsonl") for name in ("plain", "packed"))
    assert [clip.clip_id for clip in packed] == [clip.clip_id for clip in own]
    # a manifest in shards can be packed again, in other sizes
    code, _, stderr = run("--manifest=packed/manifest.jsonl", "--out=again", "--shard-size=1")
    assert code == 0, stderr
    again = (place / "again/shards/00000.tar").read_bytes()
    assert again == (place / "packed/shards/00000.tar").read_bytes()

    bad = recordings / "genuine/b.wav"
    bad.write_bytes(bad.read_bytes()[:3_000])
    code, stdout, stderr = run(manifest, "--out=bad")
    assert (code, stdout) == (2, "")
    assert stderr.count("error:") == 1
    assert "b.wav: is truncated" in stderr
    code, _, stderr = run(manifest, "--out=bad", "--allow-missing")
    assert code == 0
    assert "left out: 1 clips, listed in bad/problems.txt" in stderr
    assert len(read_manifest(place / "bad/manifest.jsonl")) == len(own) - 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--manifest=m.jsonl"], "--out: missing"),
        (["--manifest=m.jsonl", "--out=o"], "m.jsonl: no such manifest"),
        (["--manifest=m.jsonl", "--out=s3://b/o"], "--out s3://b/o: must be a local folder"),
        (["--manifest=o/manifest.jsonl", "--out=o"], "--out o: holds the manifest itself"),
        (["--manifest=o/manifest.jsonl", "--out=../here/o"], "--out ../here/o: holds the manifest"),
        (["csv", "--manifest=m.jsonl", "--out=o"], "csv: --manifest needs no data set"),
        (["--manifest=m.jsonl", "--out=o", "--shards"], "--shards: only for an unpacked data set"),
        (["--manifest=m.jsonl", "--out=o", "--shard-size=0"], "--shard-size 0: must be a whole"),
        (["folder", ".", "--shard-size=9"], "--shard-size 9: needs --shards"),
    ],
)
def test_wrong_options_of_shards_are_one_line(run, arguments, message):
    code, printed, line = run(*arguments)
    assert (code, printed) == (2, "")
    assert line.startswith(f"error: {message}")
    assert line.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["corpus=csv", "root=a.csv", "out=o"], ["csv", "a.csv", "--out", "o"]),
        (["root=DIR", "corpus=folder"], ["folder", "DIR"]),
        (["corpus=list"], ["--list"]),
        (["manifest=M", "out=o", "shard_size=1"], ["--manifest", "M", "--out", "o"]),
        (["corpus=folder", "allow_missing=true", "shards=false"], ["folder", "--allow-missing"]),
        (["without=A,B", "corpus=public_generators"], ["public_generators", "--without", "A", "B"]),
    ],
)
def test_the_old_form_of_arguments_still_works_and_names_the_new_one(old, new, capsys):
    assert prepare._current(old)[: len(new)] == new
    assert f"fakesound prepare {' '.join(new)}" in capsys.readouterr().err
    assert prepare._current(new) == new
    assert capsys.readouterr().err == ""


@pytest.fixture
def few_sources(monkeypatch, tmp_path):
    """Return a mirror of one small repository, and a list of it and a missing one."""
    commit = build_repository(tmp_path / "mirror" / "o+n", {"a.wav": encoded(sound())})
    there = Source("git", "o/n", commit, ("*.wav",), "speech", "CC0-1.0", "LICENSE")
    nowhere = Source("debian", "no-such-package", "1", ("*",), "music", "GPL-2.0", "copyright")
    monkeypatch.setattr(
        genuine_recordings,
        "read_sources",
        lambda patterns=("*",): [
            s for s in (there, nowhere) if "*" in patterns or s.name in patterns
        ],
    )
    monkeypatch.setattr(genuine_recordings.debian.shutil, "which", lambda name: None)
    return tmp_path / "mirror"


def test_genuine_recordings_are_fetched(run, few_sources):
    code, stdout, stderr = run(
        "genuine_recordings", "--mirror", few_sources, "--sources", "o/n", "--out=made"
    )
    assert (code, stdout) == (0, "made/train/manifest.jsonl\n")
    assert "CC0-1.0" in stderr
    assert len(read_manifest(Path("made/train/manifest.jsonl"))) == 1


def test_sources_that_cannot_be_fetched_are_an_error_unless_allowed(run, few_sources):
    arguments = ("genuine_recordings", "--mirror", few_sources, "--out=made")
    code, _, stderr = run(*arguments)
    assert code == 2
    assert "1 of 2 sources are missing, first no-such-package" in stderr.splitlines()[-1]
    assert run(*arguments, "--allow-missing")[:2] == (0, "made/train/manifest.jsonl\n")


def test_the_sources_are_listed_with_their_licences(run, few_sources):
    code, stdout, _ = run("genuine_recordings", "--sources", "list")
    assert code == 0
    assert stdout.splitlines()[0].split("\t") == ["o/n", "speech", "train", "CC0-1.0"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["genuine_recordings", "x"], "x: only for an unpacked data set"),
        (["genuine_recordings", "--mirror=/no/x"], "--mirror /no/x: no such folder"),
        (["genuine_recordings", "--sources", "x/y"], "sources=x/y: no such source"),
        (["folder", ".", "--mirror=."], "--mirror: only for genuine_recordings or public"),
        (["genuine_recording"], "did you mean genuine_recordings?"),
    ],
)
def test_wrong_options_of_fetched_corpora_are_refused(run, arguments, words):
    code, _, stderr = run(*arguments)
    assert code == 2
    assert words in stderr
    assert len(stderr.splitlines()) == 1
