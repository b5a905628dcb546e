"""Audio files of a folder."""

import os

import pytest

from fakesound.data.audio import read_audio
from fakesound.data.folders import audio_files
from fakesound.errors import InputError


def test_suffixes_hidden_files_and_links(tmp_path):
    for name in ("a.WAV", "b.m4a", "c.oga", "._a.wav", ".b.wav", "notes.txt", "sub/d.aifc",
                 ".hidden/e.wav", "f.wave", "g.mp2"):  # fmt: skip
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "broken.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "loop").symlink_to(tmp_path)
    result = [path.relative_to(tmp_path).as_posix() for path in audio_files(tmp_path)]
    assert result == ["a.WAV", "b.m4a", "broken.wav", "c.oga", "f.wave", "g.mp2", "sub/d.aifc"]


def test_a_folder_that_cannot_be_listed_is_an_error_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    (tmp_path / "a.wav").write_bytes(b"")
    scan = os.scandir

    def refuse(place):
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(place))
        return scan(place)

    monkeypatch.setattr(os, "scandir", refuse)
    assert audio_files(tmp_path) == [tmp_path / "a.wav", tmp_path / "closed"]
    with pytest.raises(InputError, match="is a folder"):
        read_audio(tmp_path / "closed", 16_000)
