import pytest

from fakesound.corpora.fakemusiccaps import FAKEMUSICCAPS, GENERATORS
from fakesound.timeline import Region
from tests.corpora.conftest import read_clips

NAMES = ("-88me9bBzrk", "_n9boKzVRhs")


@pytest.fixture
def published(audio):
    def published(*folders, place="."):
        for folder in folders:
            for name in NAMES:
                audio(f"{place}/{folder}/{name}.wav", seconds=1.0)

    return published


@pytest.mark.parametrize("place", [".", "FakeMusicCaps"])
def test_folders_become_clips(published, tmp_path, place):
    published("MusicCaps", *GENERATORS, place=place)
    clips, remarks = read_clips(FAKEMUSICCAPS, tmp_path)
    assert remarks == []
    result = {clip.clip_id: (clip.source_id, clip.attack, clip.regions) for clip in clips}
    assert len(result) == 12
    source = f"fakemusiccaps/{NAMES[0]}"
    assert result[f"MusicCaps/{NAMES[0]}"] == (source, None, ())
    attack = "generation/musicgen_medium"
    assert result[f"MusicGen_medium/{NAMES[0]}"] == (source, attack, (Region(0, 1.0),))
    assert {clip.split for clip in clips} == {None}
    assert {clip.attack for clip in clips if clip.is_fake} == {
        f"generation/{name.lower()}" for name in GENERATORS
    }


def test_missing_folders_are_remarked(published, tmp_path):
    published("audioldm2")
    listing = FAKEMUSICCAPS.read(tmp_path)
    assert len(listing.rows) == 2
    assert len(listing.remarks) == 5
    assert f"{tmp_path / 'MusicCaps'}: no audio" in listing.remarks[0]
