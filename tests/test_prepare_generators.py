"""The verb: ``fakesound prepare public_generators``."""

import json

import pytest

from fakesound.data.manifest import read_manifest
from tests.corpora.public_generators.conftest import published, recipes_file  # noqa: F401


@pytest.fixture
def run(published, recipes_file, tmp_path, monkeypatch, run_verb):  # noqa: F811
    """Run the verb in this process: exit code, stdout, stderr and the folder of the corpus."""
    out = tmp_path / "out"
    # processes of their own are tested where repositories are read
    monkeypatch.setattr("os.cpu_count", lambda: 1)

    def call(*arguments):
        words = ["public_generators", "--recipes", recipes_file, "--out", out]
        if "--mirror" not in arguments:
            words += ["--mirror", published[0]]
        return *run_verb("prepare", *words, *arguments), out

    return call


def test_a_manifest_with_twins_decoders_and_partial_fakes(run):
    code, printed, _, out = run()
    assert code == 0
    clips = read_manifest(out / "manifest.jsonl")
    assert printed == f"{out / 'manifest.jsonl'}\n"
    whole = [clip for clip in clips if not clip.extra.get("evaluation_only")]
    assert len(whole) == 9
    assert sum(clip.twin_id is not None for clip in whole) == 3
    partial = [clip for clip in clips if clip.extra.get("evaluation_only")]
    assert {clip.attack for clip in partial} == {"vocoder/made"}
    assert len(partial) == 2
    assert {clip.decoder for clip in clips if clip.is_fake} == {"gan_vocoder"}
    assert (out / "audit.json").is_file()
    assert len((out / "problems.txt").read_text().splitlines()) == 3
    before = (out / "manifest.jsonl").read_bytes()
    assert run()[0] == 0
    assert (out / "manifest.jsonl").read_bytes() == before


def test_only_stated_licences(run):
    code, _, _, out = run("--licenses", "stated")
    assert code == 0
    clips = read_manifest(out / "manifest.jsonl")
    assert {clip.license for clip in clips} == {"MIT"}


def test_recordings_of_a_bench_are_left_out(run):
    _, _, _, out = run()
    rows = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    bench = [line for line in rows if line.get("file") == "gt/a.mp3"]
    (out / "bench.jsonl").write_text(json.dumps(bench[0]) + "\n")
    code, _, _, _ = run("--without", out / "bench.jsonl")
    assert code == 0
    files = {clip.extra["file"] for clip in read_manifest(out / "manifest.jsonl")}
    assert not files & {"gt/a.mp3", "real/0.wav", "voc/0.wav"}
    assert "real/1.wav" in files


def test_missing_repositories_are_listed(run, published, recipes_file, tmp_path, monkeypatch):  # noqa: F811
    from fakesound.corpora.public_generators import collect

    empty = tmp_path / "empty"
    (empty / "one+alpha").mkdir(parents=True)
    (empty / "one+alpha" / ".git").symlink_to(published[0] / "one+alpha" / ".git")
    clone, nowhere = collect.clone_commit, f"file://{tmp_path}/nowhere"
    monkeypatch.setattr(
        collect,
        "clone_commit",
        lambda name, commit, folder, host, largest: clone(name, commit, folder, nowhere, largest),
    )
    code, _, error, out = run("--mirror", empty)
    assert code == 2
    assert "two/beta" in error
    assert not (out / "manifest.jsonl").exists()
    code, _, _, out = run("--mirror", empty, "--allow-missing")
    assert code == 0
    assert "two/beta" in (out / "problems.txt").read_text()
    assert {clip.domain for clip in read_manifest(out / "manifest.jsonl")} == {"alpha"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--licenses", "some"), "'some' is not one of all, stated"),
        (("here",), "here: only for an unpacked data set"),
        (("--mirror", "/no/such"), "--mirror /no/such"),
        (("--without", "/no/such"), "/no/such"),
    ],
)
def test_wrong_input_is_named(run, arguments, named):
    code, _, error, _ = run(*arguments)
    assert code == 2
    assert named in error
