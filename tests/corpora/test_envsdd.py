import pytest

from fakesound.corpora.envsdd import ENVSDD
from fakesound.timeline import Region
from tests.corpora.conftest import read_clips

DEVELOPMENT = (
    "audio,dataset,event,usage\na.wav,UrbanSound8K,dog,train\nb.wav,TUTSED2016,,validation\n"
)
TEST = (
    "audio,source,dataset,type,generator\n"
    "1.wav,c.wav,Clotho,real,real\n2.wav,c.wav,Clotho,tta,tangoflux\n3.wav,c.wav,Clotho,ata,audioldm1\n"
)
WHOLE = (Region(0, 1.0),)


@pytest.fixture
def published(text, audio):
    def published(place="."):
        text(f"{place}/datasplit_dev.csv", DEVELOPMENT)
        text(f"{place}/test_metadata.csv", TEST)
        for dataset, name in (("UrbanSound8K", "a"), ("TUTSED2016", "b")):
            audio(f"{place}/development/real_audio/{dataset}/{name}.wav", seconds=1.0)
            for system in ("TTA/audiogen", "TTA/audioldm1", "TTA/audioldm2", "ATA/audioldm1"):
                audio(f"{place}/development/fake_audio/{system}/{dataset}/{name}.wav", seconds=1.0)
        for number in (1, 2, 3):
            audio(f"{place}/test/audio/{number}.wav", seconds=1.0)

    return published


@pytest.mark.parametrize("place", [".", "EnvSDD/released"])
def test_tables_become_clips(published, tmp_path, place):
    published(place)
    clips, remarks = read_clips(ENVSDD, tmp_path)
    assert remarks == []
    result = {c.clip_id: (c.source_id, c.domain, c.attack, c.regions, c.split) for c in clips}
    urban = ("envsdd/UrbanSound8K/a", "envsdd/UrbanSound8K")
    clotho = ("envsdd/Clotho/c", "envsdd/Clotho")
    assert len(result) == 13
    assert result["UrbanSound8K/a"] == (*urban, None, (), "train")
    assert result["tta/audiogen/UrbanSound8K/a"] == (*urban, "tta/audiogen", WHOLE, "train")
    assert result["ata/audioldm1/UrbanSound8K/a"] == (*urban, "ata/audioldm1", WHOLE, "train")
    assert result["tta/audioldm2/TUTSED2016/b"][2:] == ("tta/audioldm2", WHOLE, "validation")
    assert result["test/1"] == (*clotho, None, (), "test")
    assert result["test/2"] == (*clotho, "tta/tangoflux", WHOLE, "test")
    assert result["test/3"] == (*clotho, "ata/audioldm1", WHOLE, "test")


def test_rows_that_cannot_be_read_are_named(published, tmp_path, text):
    published()
    text("datasplit_dev.csv", f"{DEVELOPMENT}c.wav,Clotho,rain,spare\nd.wav\n")
    text("test_metadata.csv", f"{TEST}4.wav,c.wav,Clotho,tta,\n")
    problems = ENVSDD.read(tmp_path).problems
    assert [line.partition(";")[0] for line in problems] == [
        "datasplit_dev.csv row 4, usage: 'spare'",
        "datasplit_dev.csv row 5, cells: found 1",
        "test_metadata.csv row 5, generator: '', type: 'tta'",
    ]
