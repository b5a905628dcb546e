import subprocess
from pathlib import Path
from shutil import which
from types import SimpleNamespace

import pytest

from fakesound.data.hashes import audio_hashes, hash_list, hash_of, read_list


@pytest.fixture
def clips(tmp_path):
    clips = []
    for name in ("a b", "c"):
        path = tmp_path / "audio" / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode() * 100)
        clips += [SimpleNamespace(location=str(path))] * 2
    return clips


@pytest.mark.skipif(which("sha256sum") is None, reason="compares with sha256sum")
def test_sha256sum_reads_the_list(clips, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "audio.sha256").write_text(hash_list(audio_hashes(clips), folder))

    def check():
        command = ["sha256sum", "--check", "--strict", "audio.sha256"]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    assert check().returncode == 0
    Path(clips[0].location).write_bytes(b"other")
    done = check()
    assert done.returncode == 1
    assert "a b.wav: FAILED" in done.stdout


def test_the_list_is_read_back_without_half_lines(clips, tmp_path):
    hashes = audio_hashes(clips)
    listed = hash_list(hashes, tmp_path)
    assert read_list(listed) == {
        Path(path).relative_to(tmp_path).as_posix(): digest for path, digest in hashes.items()
    }
    assert len(read_list(listed[:90])) == 1


def test_the_digest_does_not_depend_on_folders(clips, tmp_path):
    before = hash_of(audio_hashes(clips))
    (tmp_path / "audio").rename(tmp_path / "moved")
    moved = [
        SimpleNamespace(location=str(tmp_path / "moved" / Path(clip.location).name))
        for clip in reversed(clips)
    ]
    assert hash_of(audio_hashes(moved)) == before
    Path(moved[0].location).write_bytes(b"other")
    assert hash_of(audio_hashes(moved)) != before
