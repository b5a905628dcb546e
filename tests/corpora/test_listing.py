import pytest

from fakesound.corpora import CORPORA
from fakesound.corpora.listing import Listing, locate
from fakesound.errors import InputError

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
def test_a_file_is_found_without_leading_folders(tmp_path, audio, place):
    path = audio(place)
    assert locate([tmp_path / "no", tmp_path], LISTED) == path


def test_the_parent_folder_must_match(tmp_path, audio):
    audio("a.wav")
    audio("other/a.wav")
    assert locate([tmp_path], LISTED) is None
    assert locate([tmp_path], "a.wav") == tmp_path / "a.wav"


def test_the_listed_path_has_priority(tmp_path, audio):
    audio("genuine/a.wav")
    assert locate([tmp_path], LISTED) == tmp_path / "genuine/a.wav"
    path = audio(LISTED)
    assert locate([tmp_path], LISTED) == path


@pytest.mark.parametrize("name", sorted(CORPORA.keys() - {"csv"}))
def test_another_folder_shows_the_layout(tmp_path, audio, name):
    audio("a.wav")
    first = CORPORA[name].layout.split()[0]
    with pytest.raises(InputError) as raised:
        CORPORA[name].read(tmp_path)
    assert str(raised.value).startswith(f"{tmp_path}: no")
    assert f"expected {first}" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_row_numbers_count_blank_lines(text, tmp_path):
    listing = Listing()
    path = text("list.txt", "a\n\n b\r\n")
    assert list(listing.lines(path)) == [("list.txt row 1", "a"), ("list.txt row 3", " b")]
    assert list(listing.lines(tmp_path / "lost.txt")) == []
    assert listing.remarks == [f"{tmp_path / 'lost.txt'}: not found, so its clips are left out"]
