import json
import signal
import socket
import subprocess
import urllib.request

import pytest

from fakesound.data.manifest import read_manifest, write_manifest
from fakesound.metrics import ClipScore, write_scores

from .conftest import command, fakesound
from .listening_test.conftest import corpus, with_whole  # noqa: F401


def started(folder, *arguments):
    """Return a server of a test in ``folder`` and its address."""
    process = subprocess.Popen(
        command("listen", *map(str, arguments), "--out", "here", "--no-browser"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    address = process.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:"), process.communicate()
    return process, address


def post(address, what, **sent):
    request = urllib.request.Request(
        address + what, json.dumps(sent).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def clips_of(address, listener):
    return post(address, "join", listener=listener)["clips"]


def test_a_killed_test_resumes_and_is_compared_with_a_model(corpus, tmp_path):  # noqa: F811
    process, address = started(tmp_path, corpus, "--clips", "8", "--seed", "3")
    order = clips_of(address, "Ann")
    for clip in order[:5]:
        post(address, "answer", listener="Ann", clip=clip["clip"], verdict="fake", sureness=4)
    # a second one is refused while it runs
    second = fakesound("listen", "--out", "here", folder=tmp_path)
    assert second.returncode == 2
    assert second.stderr.startswith(f"error: --out={tmp_path / 'here'}: in use by process")
    process.kill()
    process.communicate()
    with (tmp_path / "here" / "answers.jsonl").open("a") as file:
        file.write('{"listener": "Ann", "clip_')
    process, address = started(tmp_path)
    again = clips_of(address, "ann")
    assert [clip["clip"] for clip in again] == [clip["clip"] for clip in order]
    assert [clip["answer"] is not None for clip in again] == [True] * 5 + [False] * 3
    for clip in again[5:]:
        post(address, "answer", listener="Ann", clip=clip["clip"], verdict="genuine", sureness=1)
    post(address, "answer", listener="Bob", clip=again[0]["clip"], verdict="fake", sureness=5)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "row 6: truncated" in stderr
    assert "8 of 8" in stderr
    assert "1 of 8" in stderr
    assert "Traceback" not in stderr
    _compare(tmp_path)


def _compare(folder):
    scores = folder / "here" / "scores" / "listeners.jsonl"
    rows = [json.loads(line) for line in scores.read_text().splitlines()]
    assert len(rows) == 8
    # scores of a perfect detector on the clips of the test
    manifest = [
        json.loads(row) for row in (folder / "here" / "clips.jsonl").read_text().splitlines()
    ]
    model = folder / "model.jsonl"
    model_scores = [
        {"clip_id": row["clip_id"], "score": int(row["label"] == "fake")} for row in manifest
    ]
    model.write_text("".join(json.dumps(row) + "\n" for row in model_scores))
    done = fakesound(
        *("evaluate", "--manifest", "here/clips.jsonl", "--draws", "50", "--examples", "0"),
        *("--scores", "model.jsonl", "here/scores/listeners.jsonl", "--out", "compared"),
        folder=folder,
    )
    assert done.returncode == 0, done.stderr
    paired = json.loads((folder / "compared" / "metrics.json").read_text())["paired"]
    assert paired["names"] == ["model", "listeners"]
    assert paired["parts"]["all"]["clip/auc"]["a"] == 1
    by_label = {
        label: [r["score"] for r in rows if r["label"] == label] for label in ("fake", "genuine")
    }
    pairs = [(f > g) + (f == g) / 2 for f in by_label["fake"] for g in by_label["genuine"]]
    auc = paired["parts"]["all"]["clip/auc"]["b"]
    assert auc == pytest.approx(sum(pairs) / len(pairs))


def test_scores_are_made_again_from_the_answers(corpus, tmp_path):  # noqa: F811
    process, address = started(tmp_path, corpus, "--clips", "4")
    for clip in clips_of(address, "Ann"):
        post(address, "answer", listener="Ann", clip=clip["clip"], verdict="fake", sureness=2)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    scores = tmp_path / "here" / "scores" / "listeners.jsonl"
    before = scores.read_bytes()
    scores.unlink()
    done = fakesound("listen", "--out", "here", "--collect", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert scores.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl: no such manifest"),
        ([], "--out=here: holds no test yet; name a MANIFEST to draw from"),
        (["CORPUS", "--clips", "7"], "--clips=7: must be a multiple of 2"),
        (["CORPUS", "--clips", "400"], "--clips=400: only 20 can be drawn"),
        (["CORPUS", "--port", "70000"], "--port=70000: must be from 0 to 65535"),
        (["CORPUS", "--max-seconds", "nan"], "--max-seconds=nan: must be at least 1"),
        (["CORPUS", "--split", "train"], "has no rows of split train"),
        (["CORPUS", "--listener", "x" * 50], "listener: give a name of 1 to 40"),
    ],
)
def test_wrong_arguments_are_one_line(corpus, tmp_path, monkeypatch, run_verb, arguments, message):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    given = [corpus if word == "CORPUS" else word for word in arguments]
    code, _, err = run_verb("listen", *given, "--out", "here", "--no-browser")
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "here" / "listening_test.json").exists()


def test_a_port_that_is_taken_is_named(corpus, tmp_path, run_verb):  # noqa: F811
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run_verb("listen", corpus, "--out", tmp_path, "--clips", "2", "--port", port)
    assert code == 2
    assert f"--port={port}: cannot be opened" in err


def test_one_command_draws_thirds_of_attacks_that_a_run_left_out(corpus, tmp_path):  # noqa: F811
    run = tmp_path / "run"
    run.mkdir()
    rows = with_whole(read_manifest(corpus))
    write_manifest(run / "manifest.jsonl", rows)
    unseen = ("vocoder/one", "edit/three", "codec/four")
    scores = [
        ClipScore.of(clip, 0.5, fold=None if clip.attack is None else folds[clip.attack in unseen])
        for folds in [("seen", "unseen")]
        for clip in rows
    ]
    write_scores(run / "scores.jsonl", scores)
    arguments = ("run/manifest.jsonl", "--left-out", "run", "--thirds", "--match-level")
    done = fakesound(
        "listen", *arguments, "--clips", "9", "--out", "here", "--collect", folder=tmp_path
    )
    assert done.returncode == 0, done.stderr
    drawn = read_manifest(tmp_path / "here" / "clips.jsonl")
    assert sum(not clip.is_fake for clip in drawn) == 3
    assert sum(clip.is_fake and clip.regions[0].onset == 0 for clip in drawn) == 3
    assert {clip.attack for clip in drawn} <= {None, *unseen}
    done = fakesound(
        "listen", *arguments, "--clips", "10", "--out", "there", "--collect", folder=tmp_path
    )
    assert (done.returncode, done.stderr.split(":")[1]) == (2, " --clips=10")
