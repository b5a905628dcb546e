import os

import pytest

from fakesound.corpora.listing import locate
from fakesound.data.folders import audio_files

LISTED = "data/test/audio/audio/genuine/a.wav"


@pytest.mark.parametrize(
    "place",
    [
        "data/test/audio/audio/genuine/a.wav",
        "data/test/audio/genuine/a.wav",
        "test/audio/genuine/a.wav",
        "audio/audio/genuine/a.wav",
        "audio/genuine/a.wav",
        "genuine/a.wav",
    ],
)
def test_a_file_is_found_wherever_the_tree_was_cut(tmp_path, audio, place):
    path = audio(place)
    assert locate([tmp_path / "no", tmp_path], LISTED) == path


def test_the_folder_of_a_file_counts(tmp_path, audio):
    audio("a.wav")
    audio("other/a.wav")
    assert locate([tmp_path], LISTED) is None
    assert locate([tmp_path], "a.wav") == tmp_path / "a.wav"


def test_the_place_that_is_listed_comes_first(tmp_path, audio):
    audio("genuine/a.wav")
    assert locate([tmp_path], LISTED) == tmp_path / "genuine/a.wav"
    path = audio(LISTED)
    assert locate([tmp_path], LISTED) == path


def test_audio_of_linked_folders_is_found_once(tmp_path, audio, text):
    audio("root/b.WAV")
    audio("far/a.flac")
    text("root/notes.txt", "no audio")
    audio("root/.hidden.wav")
    os.symlink(tmp_path / "far", tmp_path / "root" / "link")
    os.symlink(tmp_path / "root", tmp_path / "far" / "back")
    root = tmp_path / "root"
    assert audio_files(root) == [root / "b.WAV", root / "link" / "a.flac"]
