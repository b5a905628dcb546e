import csv
import hashlib
import io
import json
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import soundfile

from tests.conftest import imported_by
from tests.inference.conftest import RATE, checkpoint, sound  # noqa: F401

PACKAGE = Path(__file__).parents[1] / "fakesound"


def detect(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "fakesound.detect", *map(str, arguments)],
        capture_output=True,
        check=False,
        **options,
    )


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def check_schema(document):
    schema = json.loads((PACKAGE / "inference" / "detections.schema.json").read_text())
    jsonschema.validate(document, schema, jsonschema.Draft202012Validator)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Return a folder with five recordings and two other files."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(0)
    for number, name in enumerate(("a.wav", "b.flac", "c.ogg", "d.mp3", "e f.wav")):
        soundfile.write(folder / name, rng.normal(0, 0.02 * (number + 1), RATE), RATE)
    (folder / "x.wav").write_bytes(b"RIFF, or so it says")
    (folder / "y.flac").write_bytes(b"")
    (folder / "notes.txt").write_text("no audio, and not asked about")
    return folder


def test_a_folder_with_bad_files_in_it(recordings, checkpoint, tmp_path):  # noqa: F811
    out = {kind: tmp_path / f"out.{kind}" for kind in ("json", "csv", "rttm", "html")}
    done = detect(
        recordings,
        *("--checkpoint", checkpoint),
        *(f"--{kind}={path}" for kind, path in out.items()),
        f"--audacity={tmp_path / 'labels'}",
    )
    stderr = done.stderr.decode()
    assert done.returncode == 1, stderr
    assert stderr.count("skipped: ") == 2
    assert "Traceback" not in stderr
    document = json.loads(out["json"].read_text())
    check_schema(document)
    result = document["results"]
    assert [row["path"].rsplit("/", 1)[1] for row in result] == [
        *("a.wav", "b.flac", "c.ogg", "d.mp3", "e f.wav", "x.wav", "y.flac")
    ]
    good = [row for row in result if row["error"] is None]
    assert len(good) == 5
    for row in good:
        assert row["duration"] == pytest.approx(1, abs=0.1)
        assert row["sha256"] == sha256(row["path"])
    assert document["model"]["sha256"] == sha256(checkpoint)
    rows = list(csv.DictReader(io.StringIO(out["csv"].read_text())))
    for row in rows:
        assert row["model_sha256"] == document["model"]["sha256"]
        assert float(row["prior"]) == 0.5
    assert [row["sha256"] for row in rows[:5]] == [row["sha256"] for row in good]
    assert [row["verdict"] for row in rows[:5]] == [row["verdict"] for row in good]
    assert all(row["error"] for row in rows[5:])
    regions = [(row, r) for row in good for r in row["regions"]]
    lines = out["rttm"].read_text().splitlines()
    assert len(lines) == len(regions)
    for line, (_, region) in zip(lines, regions, strict=True):
        fields = line.split()
        assert (fields[0], len(fields)) == ("SPEAKER", 10)
        assert float(fields[3]) == pytest.approx(region["onset"], abs=1e-3)
    labels = {path.stem: path.read_text() for path in (tmp_path / "labels").iterdir()}
    assert set(labels) == {"a", "b", "c", "d", "e f"}
    assert sum(text.count("\n") for text in labels.values()) == len(regions)
    page = out["html"].read_text()
    assert page.count('class="recording"') == 5
    assert page.count("data:audio/flac") == 5
    assert "x.wav" in page
    assert document["model"]["sha256"] in page
    assert all(row["sha256"] in page for row in good)
    # results on stdout, messages on stderr
    table = list(csv.DictReader(io.StringIO(done.stdout.decode()), delimiter="\t"))
    assert [(row["path"], row["verdict"]) for row in table] == [
        (row["path"], row["verdict"] or "") for row in result
    ]


def test_standard_input_and_output(recordings, checkpoint):  # noqa: F811
    audio = (recordings / "b.flac").read_bytes()
    done = detect("-", "--checkpoint", checkpoint, "--json", "-", "--frames", input=audio)
    assert done.returncode == 0, done.stderr.decode()
    (row,) = json.loads(done.stdout)["results"]
    assert row["path"] == "-"
    assert len(row["frame_scores"]) == 50
    assert row["sha256"] == hashlib.sha256(audio).hexdigest()
    named = detect(recordings / "b.flac", "--checkpoint", checkpoint, "--json", "-", "--frames")
    assert json.loads(named.stdout)["results"][0]["frame_scores"] == row["frame_scores"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--confidence", "0.4"], "--confidence=0.4"),
        (["--checkpoint", "nowhere"], "nowhere: no such file or folder"),
        (["--json", "-", "--csv", "-"], "only one can"),
        (["--prior", "1"], "--prior=1"),
        (["--backend", "onnx", "--checkpoint", "a.safetensors"], "backend=onnx: a.safetensors"),
        (["--backend", "onxx"], "did you mean onnx?"),
        (["--jsn", "a.json"], "did you mean --json?"),
        (["--watch"], "--watch"),
        (["--html", "."], "--html=.: is a folder"),
    ],
)
def test_wrong_arguments_are_one_line(recordings, arguments, text):
    done = detect(recordings / "a.wav", *arguments)
    assert done.returncode == 2
    message = done.stderr.decode().strip()
    assert text in message
    assert len(message.splitlines()) == 1


def test_json_lines_are_documents_of_one_result(recordings, checkpoint):  # noqa: F811
    paths = [recordings / "a.wav", recordings / "y.flac"]
    done = detect(*paths, "--checkpoint", checkpoint, "--jsonl", "-", "--prior", "0.1")
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    for line, path in zip(lines, paths, strict=True):
        check_schema(line)
        (row,) = line["results"]
        assert row["path"] == str(path)
        assert line["settings"]["prior"] == 0.1
    assert lines[0]["results"][0]["error"] is None
    assert "empty" in lines[1]["results"][0]["error"]


@pytest.mark.parametrize("model", ["checkpoint", "default"])
def test_a_detection_imports_no_training(recordings, checkpoint, model):  # noqa: F811
    heavy = ["lightning", "torch._dynamo", "sympy", "wandb", "matplotlib", "hydra"]
    if model == "default":
        heavy += ["torch", "omegaconf", "sklearn", "scipy.signal"]
    used = checkpoint if model == "checkpoint" else model
    arguments = ("detect", recordings / "a.wav", "--checkpoint", used)
    assert imported_by(arguments, heavy) == (0, set())


def test_an_exit_code_for_scripts(recordings, checkpoint):  # noqa: F811
    done = detect(
        recordings / "a.wav", "--checkpoint", checkpoint, "--json", "-", "--exit-code",
        "--confidence", "0.5",
    )  # fmt: skip
    fake = json.loads(done.stdout)["results"][0]["verdict"] == "fake"
    assert done.returncode == (3 if fake else 0)


def test_an_unreadable_file_does_not_hide_a_fake(tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"not audio")
    example = Path(__file__).parents[1] / "docs" / "example.flac"
    done = detect(tmp_path / "broken.wav", example, "--exit-code")
    assert done.returncode == 3, done.stderr
    assert b"broken.wav" in done.stderr


def test_a_watched_folder_resumes(recordings, checkpoint, tmp_path):  # noqa: F811
    inbox, table = tmp_path / "inbox", tmp_path / "found.csv"
    inbox.mkdir()
    (inbox / "first.wav").write_bytes((recordings / "a.wav").read_bytes())
    command = [sys.executable, "-m", "fakesound.detect", inbox, "--watch", f"--csv={table}"]
    with subprocess.Popen([*command, "--checkpoint", checkpoint], stderr=subprocess.PIPE) as going:
        until = time.monotonic() + 90
        while not table.is_file() and time.monotonic() < until:
            time.sleep(0.2)
        (inbox / "second.flac").write_bytes((recordings / "b.flac").read_bytes())
        while len(table.read_text().splitlines()) < 3 and time.monotonic() < until:
            time.sleep(0.2)
        going.terminate()
        going.communicate()
    rows = csv.DictReader(io.StringIO(table.read_text()))
    assert [row["path"].rsplit("/", 1)[1] for row in rows] == ["first.wav", "second.flac"]


@pytest.mark.slow
def test_two_hundred_files_of_which_ten_are_broken(checkpoint, tmp_path):  # noqa: F811
    rng = np.random.default_rng(0)
    for number in range(200):
        path = tmp_path / f"{number:03}.wav"
        soundfile.write(path, rng.normal(0, 0.1, 4_000), RATE)
        if number % 20 == 7:
            path.write_bytes(path.read_bytes()[: 20 * (number // 20)])
    done = detect(tmp_path, "--checkpoint", checkpoint, "--json", "-")
    result = json.loads(done.stdout)["results"]
    assert done.returncode == 1
    assert sum(row["error"] is None for row in result) == 190
    assert done.stderr.decode().count("skipped: ") == 10


def write_noise(path, seconds):
    rng = np.random.default_rng(0)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(seconds):
            file.write(rng.normal(0, 0.1, RATE))
    return path


def peak_bytes(*arguments):
    """Return the finished process of ``detect`` and its peak memory."""
    script = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run([sys.executable, '-m', 'fakesound.detect', *sys.argv[1:]])\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)\n"
        "sys.exit(done.returncode)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True,
        check=True,
    )
    return int(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory as Linux tells it")
def test_three_hours_take_no_more_memory_than_three_minutes(tmp_path):
    short, long = (write_noise(tmp_path / f"{s}.flac", s) for s in (180, 3 * 3600))
    out = tmp_path / "out.json"
    short_peak, long_peak = (peak_bytes(path, "--json", out) for path in (short, long))
    (result,) = json.loads(out.read_text())["results"]
    assert result["duration"] == pytest.approx(3 * 3600)
    assert long_peak < 1.1 * short_peak + 50e6
    assert long_peak < 1.05e9
