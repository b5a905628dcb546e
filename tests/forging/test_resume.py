"""The forge resumes after kills and after changes of the recordings."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
import soundfile
from msgspec.structs import replace

from fakesound.data.manifest import clip_row, read_manifest
from fakesound.data.splits import split_clips
from fakesound.errors import InputError, OutsideError
from fakesound.forging import ForgeSettings, folder_clips, forge, plan_jobs

from .conftest import build_recording, forge_folder, write_recordings

ATTACKS = ["edit/splice", "vocoder/mel_griffin_lim", "vocoder/world"]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.glob("audio/*/*.wav")}


def journal_of(folder):
    path = folder / "journal.jsonl"
    return path.read_bytes().split(b"\n")[:-1] if path.is_file() else []


def living(group):
    """Return the running processes of a group."""
    result = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, owner = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # it has just ended
        if int(owner) == group and state != "Z":
            result.append(entry.name)
    return result


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="counts processes in /proc")
def test_a_killed_forge_resumes_to_the_same_files(recordings, tmp_path):
    jobs = plan_jobs(folder_clips(recordings)[0], ForgeSettings(16_000, 2, 1), ATTACKS)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    undisturbed = forge(jobs, whole, 16_000, 1)

    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "fakesound.forge", recordings, killed, "--attacks", *ATTACKS),
            *("--train-fakes", "2", "--evaluation-fakes", "1", "--workers", "2"),
        ],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while len(journal_of(killed)) < 8 and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    while living(process.pid):  # no worker outlives the forge
        time.sleep(0.05)
    done = journal_of(killed)
    assert 8 <= len(done) < len(jobs)
    assert not (killed / "manifest.jsonl").exists()
    # existing files are complete
    assert contents(killed).items() <= contents(whole).items()

    resumed = forge(jobs, killed, 16_000, 1)
    assert contents(killed) == contents(whole)
    rows = [
        [clip_row(c, folder) for c in f.clips]
        for f, folder in ((undisturbed, whole), (resumed, killed))
    ]
    assert rows[0] == rows[1]
    assert journal_of(killed)[: len(done)] == done
    assert len(journal_of(killed)) == len(jobs)


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="finds processes in /proc")
def test_a_killed_worker_is_replaced(recordings, result, tmp_path):
    """Another worker does its jobs, and no result is lost."""
    jobs = plan_jobs(folder_clips(recordings)[0], ForgeSettings(16_000, 1, 1), ["codec/adpcm"])
    whole, disturbed = tmp_path / "whole", tmp_path / "disturbed"
    undisturbed = forge(jobs, whole, 16_000, 1)
    killed = []

    def kill(done, total):
        if done == 3:
            (task,) = Path("/proc/self/task").glob(str(os.getpid()))
            for child in (task / "children").read_text().split():
                if b"spawn_main" in Path("/proc", child, "cmdline").read_bytes():
                    os.kill(int(child), signal.SIGKILL)
                    killed.append(child)

    forged = forge(jobs, disturbed, 16_000, 1, progress=kill)
    assert killed
    assert [clip.clip_id for clip in forged.clips] == [clip.clip_id for clip in undisturbed.clips]
    assert contents(disturbed) == contents(whole)


class DyingCrew:
    """Workers that are killed in every job."""

    def __init__(self, workers):
        self.pool = self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def restart(self):
        pass

    def submit(self, *_):
        future = Future()
        future.set_exception(BrokenProcessPool())
        return future


def test_repeatedly_killed_workers_are_an_error(recordings, tmp_path, monkeypatch):
    jobs = plan_jobs(folder_clips(recordings)[0], ForgeSettings(16_000, 1, 1), ["codec/adpcm"])
    monkeypatch.setattr(sys.modules["fakesound.forging.forge"], "_Workers", DyingCrew)
    with pytest.raises(OutsideError, match="if memory ran out") as caught:
        forge(jobs, tmp_path / "forged", 16_000, 1)
    assert "\n" not in str(caught.value)


@pytest.fixture
def copy(result, tmp_path):
    """Return a copy of the forged folder to damage."""
    return Path(shutil.copytree(result.folder, tmp_path / "copy"))


def test_only_lost_files_are_forged_again(recordings, result, copy):
    journal = copy / "journal.jsonl"
    rows = [json.loads(line) for line in journal_of(copy)]
    # the last line is cut short; of another clip the audio is gone
    journal.write_bytes(journal.read_bytes()[:-40])
    (copy / rows[-2]["path"]).unlink()
    again = forge_folder(recordings, copy)
    assert again.forged.seconds == pytest.approx(rows[-1]["duration"] + rows[-2]["duration"])
    assert [c.clip_id for c in again.clips] == [c.clip_id for c in result.clips]
    for clip in result.clips:
        assert (copy / Path(clip.location).relative_to(result.folder)).read_bytes() == Path(
            clip.location
        ).read_bytes()
    assert forge_folder(recordings, copy).forged.seconds == 0


def test_a_last_line_without_a_line_break_is_read(recordings, copy):
    journal = copy / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-1])
    assert forge_folder(recordings, copy).forged.seconds == 0


def test_a_line_cut_within_a_character_is_skipped(recordings, copy):
    with (copy / "journal.jsonl").open("ab") as journal:
        journal.write('{"clip_id": "Zoë'.encode()[:-1])
    assert forge_folder(recordings, copy).forged.seconds == 0


def test_later_recordings_cause_no_leak(recordings, result, copy, tmp_path):
    more = Path(shutil.copytree(recordings, tmp_path / "tapes"))
    for number in range(20, 27):
        soundfile.write(more / f"new {number}.wav", build_recording(number), 16_000)
    again = forge_folder(more, copy)
    split = {clip.source_id: clip.split for clip in again.genuine}
    moved = [clip for clip in result.genuine if split[clip.source_id] != clip.split]
    assert moved
    assert all(clip.split == split[clip.source_id] for clip in again.clips)
    assert len(split_clips(again.clips).train)
    clips = again.by_id()
    for clip in again.clips:
        assert all(split[donor] == clip.split for donor in clip.donor_ids)
        if clip.is_fake:
            assert clips[clip.twin_id].split == clip.split


def test_other_sources_for_the_same_files_are_taken_over(recordings, copy):
    genuine, _ = folder_clips(recordings)
    renamed = [replace(clip, source_id=f"box {clip.source_id}") for clip in genuine]
    jobs = plan_jobs(renamed, ForgeSettings(16_000, 1, 1), ["codec/adpcm"])
    forged = forge(jobs, copy, 16_000, 1)
    assert all(clip.source_id.startswith("box ") for clip in forged.clips)


@pytest.fixture
def with_silence(tmp_path):
    folder = write_recordings(tmp_path / "tapes")
    soundfile.write(folder / "silent.wav", np.zeros(16_000), 16_000)
    return folder


def test_a_recording_that_cannot_be_used_stops_the_forge(with_silence, tmp_path):
    folder = tmp_path / "forged"
    with pytest.raises(InputError, match=r"silent.wav: is silent.*on_bad_audio=skip"):
        forge_folder(with_silence, folder)
    assert not list(folder.rglob("*.part"))
    rows = [json.loads(line) for line in journal_of(folder)]
    for row in rows:
        assert soundfile.info(folder / row["path"]).duration == pytest.approx(row["duration"])


def test_a_recording_that_cannot_be_used_is_skipped_and_taken_when_replaced(with_silence, tmp_path):
    folder = tmp_path / "forged"
    skipped = forge_folder(with_silence, folder, on_bad_audio="skip")
    assert len(skipped.genuine) == 12
    assert "silent.wav" not in {clip.source_id for clip in skipped.clips}
    lost = [job.clip_id for job in skipped.jobs if job.genuine.source_id == "silent.wav"]
    without = [job.clip_id for job in skipped.jobs if job.donor_source == "silent.wav"]
    left_out = skipped.forged.left_out
    assert {*lost, *without} <= set(left_out)
    assert len(left_out) + len(skipped.clips) == len(skipped.jobs)
    reasons = [left_out[clip_id] for clip_id in lost]
    assert "silent.wav: is silent" in reasons[0]
    assert set(reasons[1:]) == {"its twin is left out"}

    soundfile.write(with_silence / "silent.wav", build_recording(3, 1.0), 16_000)
    mended = forge_folder(with_silence, folder)
    assert "silent.wav" in {clip.source_id for clip in mended.clips}
    assert not set(mended.forged.left_out) & {*lost, *without}


def test_the_manifest_of_a_run_that_was_killed_is_read_back(result, tmp_path):
    # the journal alone holds what the manifest needs
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(journal_of(result.folder)) + b"\n")
    assert {clip.clip_id for clip in read_manifest(path, check_files=False)} == set(result.by_id())
