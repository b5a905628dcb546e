"""Files, names and outputs of ``detect``: every file has a row, and no input is overwritten."""

import csv
import errno
import io
import json
import os
import shutil
import sys
import threading
import time
from argparse import Namespace
from itertools import islice

import numpy as np
import pytest
import soundfile

from fakesound import detect
from fakesound.errors import InputError
from fakesound.inference import Detection, Detector, FakeRegion
from fakesound.inference.formats import Result
from fakesound.inference.outputs import print_table
from fakesound.scoring.checkpoint import torch_device
from tests.data.media import encode

from .inference.conftest import RATE, checkpoint, detector  # noqa: F401


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("recording") / "a.wav"
    soundfile.write(path, rng.normal(0, 0.1, RATE), RATE)
    return path


@pytest.fixture
def run(detector, monkeypatch, capsys, tmp_path):  # noqa: F811
    """Return a function that runs ``detect`` in this process: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Detector, "from_checkpoint", lambda *_, **__: detector)

    def called(*arguments):
        monkeypatch.setattr(sys, "argv", ["detect", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            detect.main()
        out = capsys.readouterr()
        code = end.value.code
        return (code if isinstance(code, int) else 1), out.out, out.err

    return called


def rows_of(path):
    rows = json.loads(path.read_text())
    return rows["results"] if isinstance(rows, dict) else rows


def test_names_of_every_kind_are_kept(run, recording, tmp_path):
    folder = os.fsencode(tmp_path / "n")
    os.makedirs(os.path.join(folder, b"c["))
    names = [
        b"Title [dQw4w9WgXcQ].wav",
        b"c[/b].wav",
        b"caf\xe9.wav",
        "\u00fc.wav".encode(),
        b"a\nb.wav",
    ]
    for name in names:
        shutil.copy(recording, os.path.join(folder, name))
    code, rows, shown = run("n", "--json", "o.json", "--csv", "o.csv", "--rttm", "o.rttm",
                         "--audacity", "labels", "--html", "o.html")  # fmt: skip
    assert code == 0, shown
    assert len(rows.splitlines()) == 6
    assert "n/caf\\xe9.wav\t" in rows
    assert "n/a\\nb.wav\t" in rows
    paths = {row["path"] for row in rows_of(tmp_path / "o.json")}
    assert paths == {"n/Title [dQw4w9WgXcQ].wav", "n/c[/b].wav", "n/caf\\xe9.wav", "n/\u00fc.wav",
                     "n/a\nb.wav"}  # fmt: skip
    table = (tmp_path / "o.csv").read_bytes()
    assert b"n/caf\xe9.wav" in table
    text = table.decode(errors="surrogateescape")
    assert len(list(csv.DictReader(io.StringIO(text, newline="")))) == 5
    assert len([*(tmp_path / "labels").rglob("*.txt")]) == 5
    lines = (tmp_path / "o.rttm").read_text().splitlines()
    assert all(len(line.split()) == 10 for line in lines)


def test_names_in_brackets_are_no_markup_on_a_terminal(run, recording, tmp_path, monkeypatch):
    shutil.copy(recording, tmp_path / "a [x].wav")
    (tmp_path / "[").mkdir()
    shutil.copy(recording, tmp_path / "[" / "b].wav")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, table, shown = run("a [x].wav", "[/b].wav")
    assert code == 0, shown
    assert "a [x].wav" in table
    assert "[/b].wav" in table


def test_recordings_of_one_name_have_outputs_of_their_own(run, recording, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(recording, tmp_path / folder / "x.wav")
    soundfile.write(tmp_path / "b" / "x.flac", np.zeros(RATE), RATE)
    code, _, shown = run("a/x.wav", "b", "--audacity", "labels", "--rttm", "o.rttm")
    assert code == 0, shown
    labels = sorted(p.relative_to(tmp_path / "labels").as_posix()
                    for p in (tmp_path / "labels").rglob("*.txt"))  # fmt: skip
    assert labels == ["a/x.txt", "b/x.flac.txt", "b/x.wav.txt"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "a.wav"),
        ("--html", "./a.wav"),
        ("--audacity", "a.wav"),
        ("--csv", "o", "--json", "o"),
        ("--csv", "a.wav/o.csv"),
        ("--json", "/proc/o.json"),
        ("--rttm", "."),
    ],
)
def test_outputs_are_checked_before_the_work(run, recording, tmp_path, arguments, monkeypatch):
    shutil.copy(recording, tmp_path / "a.wav")
    monkeypatch.setattr(Detector, "detect", None)
    code, _, shown = run("a.wav", *arguments)
    assert code == 2, shown
    assert shown.startswith(f"error: {arguments[0]}=")
    assert len(shown.strip().splitlines()) == 1
    assert (tmp_path / "a.wav").read_bytes() == recording.read_bytes()


def test_every_file_of_a_folder_of_odd_files_has_a_row(run, recording, tmp_path):
    folder, data = tmp_path / "evidence", recording.read_bytes()
    folder.mkdir()
    good = ("wav", "wave", "WAV", "rf64", "aifc", "snd", "bwf")
    for suffix in good:
        (folder / f"g.{suffix}").write_bytes(data)
    encode(folder / "phone.m4a", soundfile.read(recording)[0], RATE, "aac", "ipod")
    bad = {
        "empty.wav": b"",
        "text.mp3": b"no audio" * 99,
        "short.flac": b"fLaC",
        "half.wav": data[:9_000],
        "page.m4a": b"<html>",
        "zero.ogg": bytes(5_000),
        "header.wav": data[:44],
        "riff.wav": b"RIFF",
    }
    for name, content in bad.items():
        (folder / name).write_bytes(content)
    (folder / "link.wav").symlink_to("nowhere.wav")
    (folder / "._g.wav").write_bytes(b"\0\5\26\7xxxx")
    soundfile.write(folder / "nan.wav", np.full(RATE, np.nan), RATE, subtype="FLOAT")
    soundfile.write(folder / "none.wav", np.zeros(0), RATE)
    code, _, shown = run("evidence", "--json", "o.json")
    rows = rows_of(tmp_path / "o.json")
    failed = {row["path"].rpartition("/")[2] for row in rows if row["error"]}
    assert (code, len(rows)) == (1, len(good) + 1 + len(bad) + 3)
    assert failed == {*bad, "link.wav", "nan.wav", "none.wav"}
    assert shown.count("skipped: ") == len(failed)
    assert all(len(row["error"].splitlines()) == 1 for row in rows if row["error"])


def test_an_error_of_one_file_ends_nothing(run, recording, detector, tmp_path, monkeypatch):  # noqa: F811
    for name in "abc":
        shutil.copy(recording, tmp_path / f"{name}.wav")
    (tmp_path / "d.raw").write_bytes(bytes(3_200))
    whole = detector.detect

    def fail(path, *rest, **more):
        if path.name == "b.wav":
            raise TypeError("of some library")
        return whole(path, *rest, **more)

    monkeypatch.setattr(detector, "detect", fail)
    code, out, _ = run("a.wav", "b.wav", "c.wav", "d.raw", "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 1
    assert [bool(row["error"]) for row in rows] == [False, True, False, True]
    assert "of some library" in rows[1]["error"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full")])
def test_an_interrupted_batch_continues(run, recording, detector, tmp_path, monkeypatch, stop):  # noqa: F811
    for name in "abcd":
        shutil.copy(recording, tmp_path / f"{name}.wav")
    names = [f"{name}.wav" for name in "abcd"]
    assert run(*names, "--json", "whole.json", "--frames")[0] == 0
    whole, done = detector.detect, []

    def counted(path, *rest, **more):
        if path.name == "c.wav" and isinstance(stop, KeyboardInterrupt) and "c.wav" not in done:
            done.append("c.wav")
            raise stop
        done.append(path.name)
        return whole(path, *rest, **more)

    monkeypatch.setattr(detector, "detect", counted)
    with monkeypatch.context() as patch:
        if isinstance(stop, OSError):

            def full(*_, **__):
                raise stop

            patch.setattr("fakesound.inference.outputs.write_whole", full)
        code, shown, _ = run(*names, "--json", "o.json", "--frames")
    assert code == 1
    # the verdicts come before the files
    assert "a.wav" in shown
    assert (tmp_path / ".o.json.unfinished").is_file()
    before = len(done)
    code, _, shown = run(*names, "--json", "o.json", "--frames")
    assert code == 0, shown
    wanted = ["c.wav", "d.wav"] if isinstance(stop, KeyboardInterrupt) else []
    assert done[before:] == wanted
    assert rows_of(tmp_path / "o.json") == rows_of(tmp_path / "whole.json")
    assert not (tmp_path / ".o.json.unfinished").exists()


def test_results_of_a_changed_file_are_not_used_again(run, recording, tmp_path, monkeypatch):
    shutil.copy(recording, tmp_path / "a.wav")
    with monkeypatch.context() as patch:

        def full(*_, **__):
            raise OSError(errno.ENOSPC, "full")

        patch.setattr("fakesound.inference.outputs.write_whole", full)
        assert run("a.wav", "--json", "o.json")[0] == 1
    soundfile.write(tmp_path / "a.wav", np.zeros(2 * RATE), RATE)
    assert run("a.wav", "--json", "o.json")[0] == 0
    (row,) = rows_of(tmp_path / "o.json")
    assert row["duration"] == 2
    assert any(note.startswith("silence") for note in row["notes"])


def test_pipes_are_read_once(run, recording, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(
        target=lambda: (tmp_path / "pipe").write_bytes(recording.read_bytes())
    )
    writer.start()
    code, _, shown = run("pipe", recording, "--json", "o.json", "--frames")
    writer.join()
    assert code == 0, shown
    piped, named = rows_of(tmp_path / "o.json")
    assert piped["path"] == "pipe"
    assert piped["frame_scores"] == named["frame_scores"]


def test_channels(run, recording, tmp_path):
    x, _ = soundfile.read(recording)
    soundfile.write(tmp_path / "s.wav", np.stack([x, 0.1 * x[::-1]], 1), RATE)
    code, _, shown = run("s.wav", "--channels", "each", "--json", "o.json")
    assert code == 0, shown
    first, second = rows_of(tmp_path / "o.json")
    assert (first["path"], second["path"]) == ("s.wav#1", "s.wav#2")
    run("s.wav", "--channels", "2", "--json", "o.json")
    (row,) = rows_of(tmp_path / "o.json")
    assert row["score"] == second["score"] != first["score"]
    code, _, shown = run("s.wav", "--channels", "3")
    assert code == 1
    assert "2 channels" in shown
    assert run("s.wav", "--channels", "left")[0] == 2


def test_files_that_are_still_written_are_waited_for(recording, tmp_path, monkeypatch):
    monkeypatch.setattr(detect, "EVERY", 0.5)
    data, path = recording.read_bytes(), tmp_path / "slow.wav"
    path.write_bytes(data[:9_000])

    def write():
        for size in range(10_000, len(data), 4_000):
            path.write_bytes(data[:size])
            time.sleep(0.05)
        path.write_bytes(data)

    writer = threading.Thread(target=write)
    writer.start()
    arrivals = detect._arrivals([str(tmp_path)])
    assert next(arrivals) == path
    assert path.stat().st_size == len(data)
    writer.join()
    # changed afterwards, so it comes again
    path.write_bytes(data + data[44:])
    assert list(islice(arrivals, 1)) == [path]


def test_devices_that_are_not_there_are_refused():
    assert torch_device("cpu") == "cpu"
    for name in ("cuda:97", "banana"):
        with pytest.raises(InputError, match=rf"^--device={name}"):
            torch_device(name)


def test_a_folder_without_audio_is_an_error(run, tmp_path):
    (tmp_path / "notes.txt").write_text("no audio")
    code, _, stderr = run(tmp_path)
    assert code == 2
    assert f"{tmp_path}: no file in it ends in .wav" in stderr


def test_an_empty_name_is_not_the_current_folder(run, recording, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, stderr = run("")
    assert code == 2
    assert "empty name" in stderr


def test_a_terminal_shows_which_fakes_are_whole(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    frames, region = np.full(50, 0.9, np.float32), FakeRegion(0.2, 0.6, 0.9)
    results = [
        Result(kind, Detection("fake", 0.9, (region,), 1.0, 0.02, frames, kind=kind))
        for kind in ("part", "whole")
    ]
    print_table(Namespace(json=None, jsonl=None, csv=None, rttm=None), results, header=True)
    part, whole = capsys.readouterr().out.strip().splitlines()[1:]
    assert "all of it" not in part
    assert "all of it; marked: 0.20-0.60" in whole


def test_long_names_are_whole_and_shared_notes_shown_once(run, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for number in range(5):
        soundfile.write(tmp_path / f"{'q' * 90}{number}.wav", np.zeros(800), 8_000)
    code, table, shown = run(".")
    assert code == 0, shown
    assert table.count("q") == 5 * 90
    assert [line for line in shown.splitlines() if "rate:" in line] == [
        f"5 recordings: rate: resampled from 8000 Hz to {RATE} Hz"
    ]


@pytest.mark.parametrize("outputs", [(), ("--json", "o.json")])
def test_only_a_batch_with_an_output_promises_to_continue(
    run,
    recording,
    detector,  # noqa: F811
    tmp_path,
    monkeypatch,
    outputs,
):
    shutil.copy(recording, tmp_path / "a.wav")

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(detector, "detect", stopped)
    monkeypatch.setattr(sys, "argv", ["detect", "a.wav", *outputs])
    with pytest.raises(SystemExit) as end:
        detect.main()
    assert ("resumes" in end.value.code) == bool(outputs)


def test_a_file_that_is_named_in_several_ways_is_read_once(run, recording, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    shutil.copy(recording, folder / "a.wav")
    code, _, _ = run(folder, "folder", "./folder/../folder/a.wav", "--json", tmp_path / "out.json")
    assert code == 0
    assert [row["path"] for row in rows_of(tmp_path / "out.json")] == [str(folder / "a.wav")]
