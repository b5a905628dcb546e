import re

import pytest

from fakesound.corpora.asvspoof2019_la import ASVSPOOF2019_LA, ATTACKS
from fakesound.timeline import Region
from tests.corpora.conftest import read_clips

PROTOCOLS = {
    "train.trn": "LA_0079 LA_T_1138215 - - bonafide\nLA_0079 LA_T_1000137 - A05 spoof\n",
    "dev.trl": "LA_0069 LA_D_1047731 - - bonafide\nLA_0069 LA_D_1000265 - A01 spoof\n",
    "eval.trl": "LA_0039 LA_E_2834763 - A13 spoof\r\nLA_0030 LA_E_5849185 - - bonafide\r\n",
}


@pytest.fixture
def published(text, audio):
    def published(base="LA", **changed):
        for part, lines in (
            PROTOCOLS | {k.replace("_", "."): v for k, v in changed.items()}
        ).items():
            text(f"{base}/ASVspoof2019_LA_cm_protocols/ASVspoof2019.LA.cm.{part}.txt", lines)
            for name in re.findall(r"LA_[TDE]_\d+", lines):
                folder = f"{base}/ASVspoof2019_LA_{part.split('.')[0]}/flac"
                audio(f"{folder}/{name}.flac", seconds=1.5)

    return published


@pytest.mark.parametrize(("base", "root"), [("LA", "."), (".", "."), ("LA/LA", "."), ("LA", "LA")])
def test_the_protocols_become_clips(published, tmp_path, base, root):
    published(base)
    clips, remarks = read_clips(ASVSPOOF2019_LA, tmp_path / root)
    assert remarks == []
    whole = (Region(0, 1.5),)
    assert {(c.clip_id, c.source_id, c.attack, c.regions, c.split) for c in clips} == {
        ("LA_T_1138215", "asvspoof2019_la/LA_0079", None, (), "train"),
        ("LA_T_1000137", "asvspoof2019_la/LA_0079", "vc/A05", whole, "train"),
        ("LA_D_1047731", "asvspoof2019_la/LA_0069", None, (), "validation"),
        ("LA_D_1000265", "asvspoof2019_la/LA_0069", "tts/A01", whole, "validation"),
        ("LA_E_2834763", "asvspoof2019_la/LA_0039", "tts_vc/A13", whole, "test"),
        ("LA_E_5849185", "asvspoof2019_la/LA_0030", None, (), "test"),
    }
    assert {clip.license for clip in clips} == {"ODC-By-1.0"}


def test_all_nineteen_systems_have_one_kind():
    assert sorted(ATTACKS) == [f"A{number:02}" for number in range(1, 20)]
    assert len(set(ATTACKS.values())) == 19


def test_rows_that_contradict_themselves_are_named(published, tmp_path):
    lines = [
        "LA_0079 LA_T_1 - - spoof",
        "LA_0079 LA_T_2 - A05 bonafide",
        "LA_0079 LA_T_3 - A20 spoof",
        "LA_0079 LA_T_4 - A05 fraud",
        "LA_0079 LA_T_5 A05 spoof",
        "",
        "LA_0079 LA_T_6 - A05 spoof",
    ]
    published(train_trn="\n".join(lines))
    listing = ASVSPOOF2019_LA.read(tmp_path)
    errors = [line.partition(" row ") for line in sorted(listing.problems)]
    assert {file for file, _, _ in errors} == {"ASVspoof2019.LA.cm.train.trn.txt"}
    assert [what[:12] for _, _, what in errors] == [
        "1, system: '",
        "2, system: '",
        "3, system: '",
        "4, key: 'fra",
        "5, fields: f",
    ]
    assert [row.clip_id for row in listing.rows if row.split == "train"] == ["LA_T_6"]


def test_a_part_of_the_corpus_is_enough(published, tmp_path):
    published()
    protocols = tmp_path / "LA" / "ASVspoof2019_LA_cm_protocols"
    (protocols / "ASVspoof2019.LA.cm.eval.trl.txt").unlink()
    listing = ASVSPOOF2019_LA.read(tmp_path)
    assert {row.split for row in listing.rows} == {"train", "validation"}
    (remark,) = listing.remarks
    assert "eval.trl.txt: not found" in remark
