import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from fakesound.errors import InputError
from fakesound.files import (
    Journal,
    atomic_write,
    clear_remains,
    json_text,
    lock_folder,
    new_folder,
    staged,
    write_whole,
)

HOLD = """
import sys, time
from pathlib import Path
from fakesound.files import lock_folder
lock_folder(Path(sys.argv[1]), "folder")
print("held", flush=True)
if len(sys.argv) > 2:  # a child that outlives it, as those that load data do, for a while
    import os
    if os.fork() == 0:
        time.sleep(float(sys.argv[2]))
        os._exit(0)
time.sleep(60)
"""
LIMITED = """
import resource, sys
from pathlib import Path
from fakesound.command_line import guarded
from fakesound.files import write_whole
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
guarded(lambda: write_whole(Path(sys.argv[1]), "x" * 2000))
"""
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


def holder(folder, *further):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder, *further], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


@posix
def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_whole(path, "before")
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert str(path) in done.stderr
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "before")]


def test_the_error_of_a_write_names_the_file(tmp_path):
    (tmp_path / "gone").mkdir()
    with pytest.raises(OSError, match="gone") as caught:
        write_whole(tmp_path / "gone", "x")
    assert caught.value.filename == str(tmp_path / "gone")
    assert not list(tmp_path.glob(".*"))


def test_a_file_keeps_its_content_when_a_write_fails_half_way(tmp_path):
    path = tmp_path / "a.bin"
    write_whole(path, "before")

    def fail():
        with atomic_write(path) as file:
            file.write(b"half")
            raise OSError(2, "gone", "other")

    # an error of another file keeps that name
    with pytest.raises(OSError, match="gone") as caught:
        fail()
    assert caught.value.filename == "other"
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.bin", "before")]
    with atomic_write(path) as file:
        file.write(b"after")
    assert path.read_bytes() == b"after"


def test_a_journal_loses_no_more_than_a_line_cut_short(tmp_path):
    journal = Journal(tmp_path / "a.jsonl", durable=True)
    assert list(journal.entries()) == []
    for name in ("a", "é"):
        journal.append({"name": name})
    whole = journal.path.read_bytes()
    for size in range(len(whole) + 1):
        journal.path.write_bytes(whole[:size])
        journal.append({"name": "z"})
        rows = [row for _, row in journal.entries()]
        assert rows[-1] == {"name": "z"}
        complete = [line for line in whole[:size].split(b"\n") if line.endswith(b"}")]
        assert sum(row is not None for row in rows) == len(complete) + 1


def test_the_error_of_a_journal_names_it(tmp_path):
    with pytest.raises(OSError, match="gone") as caught:
        Journal(tmp_path / "gone" / "a.jsonl").append({})
    assert caught.value.filename == str(tmp_path / "gone" / "a.jsonl")


def test_what_a_kill_leaves_is_cleared(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / ".last.ckpt.77.tmp").touch()
    (tmp_path / "scores.jsonl").touch()
    clear_remains(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["scores.jsonl"]


def test_a_folder_is_of_one_process(tmp_path):
    with holder(tmp_path) as process:
        with pytest.raises(
            InputError, match=f"out={tmp_path}: in use by process {process.pid} on "
        ):
            lock_folder(tmp_path, "out")
        process.kill()
    lock_folder(tmp_path, "out")
    lock_folder(tmp_path, "out")
    assert json.loads((tmp_path / ".owner").read_text())["pid"] == os.getpid()


@posix
def test_the_lock_of_a_dead_process_is_waited_for_while_its_children_live(tmp_path):
    process = holder(tmp_path, "1.5")
    time.sleep(0.3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    lock_folder(tmp_path, "out")


def test_staged_files_take_their_places_together(tmp_path):
    folder = tmp_path / "out"
    write_whole(folder / "metrics.json", "old")
    write_whole(folder / "tables" / "a.csv", "old")
    fill = OSError("full")
    with suppress(OSError), staged(folder, last="metrics.json") as new:
        write_whole(new / "tables" / "a.csv", "half")
        raise fill
    assert (folder / "metrics.json").read_text() == "old"
    assert (folder / "tables" / "a.csv").read_text() == "old"
    # as a kill would leave it
    write_whole(tmp_path / ".out.new" / "other.csv", "remains")
    with staged(folder, last="metrics.json") as new:
        write_whole(new / "metrics.json", "new")
        write_whole(new / "tables" / "a.csv", "new")
    result = {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert result == {"metrics.json": "new", "a.csv": "new", ".lock": ""}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_new_folder_is_complete_or_the_old_one_stays(tmp_path):
    folder = tmp_path / "corpus"
    with new_folder(folder) as part:
        (part / "a").write_text("old")
    with suppress(InputError), new_folder(folder) as part:
        (part / "b").write_text("half")
        raise InputError("stop")
    assert [path.name for path in tmp_path.rglob("*")] == ["corpus", "a"]
    with new_folder(folder) as part:
        (part / "b").write_text("new")
    assert [path.name for path in tmp_path.rglob("*")] == ["corpus", "b"]


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, "content")
        assert os.read(reader, 100) == b"content"
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_json_holds_the_bytes_of_names_that_are_not_utf8_as_text():
    name = os.fsdecode(b"caf\xe9.wav")
    text = json_text({"path": name, "other": "\u00fc\U0001f480"})
    assert json.loads(text.encode()) == {"path": "caf\\xe9.wav", "other": "\u00fc\U0001f480"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        json_text(float("nan"))


def test_a_journal_takes_names_that_are_not_utf8(tmp_path):
    row = {"name": os.fsdecode(b"caf\xe9.wav")}
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append(row)
    assert [*journal.entries()] == [(1, row)]
