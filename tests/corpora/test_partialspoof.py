from pathlib import Path

import numpy as np
import pytest

from fakesound.corpora.check import check_rows
from fakesound.corpora.partialspoof import PARTIALSPOOF
from fakesound.errors import InputError
from fakesound.timeline import Region
from tests.corpora.conftest import read_clips

PARTS = {
    "train": [("LA_0079", "CON_T_0000029", "CON"), ("LA_0079", "LA_T_1138215", "-")],
    "dev": [("LA_0069", "CON_D_0000001", "CON"), ("LA_0070", "LA_D_1047731", "-")],
    "eval": [("LA_0039", "CON_E_0000001", "A13"), ("LA_0030", "LA_E_5849185", "-")],
}


def fake_labels(name):
    return np.array(["1"] * 20 + ["0"] * 80) if "CON" in name else np.array(["1"] * 100)


@pytest.fixture
def published(text, audio, tmp_path):
    """Write the whole layout, with labels in these steps."""

    def published(base="database", folder="segment_labels", steps=("0.01", "0.64"), **changed):
        for part, rows in PARTS.items():
            lines = [
                f"{speaker} {name} - {system} {'bonafide' if system == '-' else 'spoof'}\n"
                for speaker, name, system in rows
            ]
            text(
                f"{base}/protocols/PartialSpoof_LA_cm_protocols/PartialSpoof.LA.cm.{part}.trl.txt",
                "".join(lines),
            )
            (tmp_path / base / folder).mkdir(exist_ok=True)
            for step in steps:
                factor = round(float(step) / 0.01)
                labels = {name: fake_labels(name)[::factor] for _, name, _ in rows}
                np.save(tmp_path / base / folder / f"{part}_seglab_{step}.npy", labels | changed)
            for _, name, _ in rows:
                # the last label passes the end by half its length
                audio(f"{base}/{part}/con_wav/{name}.wav", seconds=0.995)

    return published


@pytest.mark.parametrize(
    ("base", "folder", "root"),
    [
        ("database", "segment_labels", "."),
        ("database", "segment_labels", "database"),
        (".", "segment_labels_v1.2", "."),
    ],
)
def test_protocols_and_labels_become_clips(published, tmp_path, base, folder, root):
    published(base, folder)
    clips, remarks = read_clips(PARTIALSPOOF, tmp_path / root)
    spans = (Region(0.2, 0.995),)
    result = {
        c.clip_id: (Path(c.location).parent.parent.name, c.source_id, c.attack, c.regions, c.split)
        for c in clips
    }
    speaker = "asvspoof2019_la/LA_"
    splice = "splice/partialspoof"
    assert result == {
        "CON_T_0000029": ("train", f"{speaker}0079", splice, spans, "train"),
        "LA_T_1138215": ("train", f"{speaker}0079", None, (), "train"),
        "CON_D_0000001": ("dev", f"{speaker}0069", splice, spans, "validation"),
        "LA_D_1047731": ("dev", f"{speaker}0070", None, (), "validation"),
        "CON_E_0000001": ("eval", f"{speaker}0039", "splice/A13", spans, "test"),
        "LA_E_5849185": ("eval", f"{speaker}0030", None, (), "test"),
    }
    assert sum("seglab_0.01.npy, in steps of 0.01 s" in remark for remark in remarks) == 3


def test_the_finest_labels_are_used(published, tmp_path, text):
    published(steps=("0.64",))
    checked = check_rows(PARTIALSPOOF.read(tmp_path).rows)
    assert checked.wrong == []
    fakes = [clip for clip in checked.clips if clip.is_fake]
    # samples 0 and 64 of the fine labels: bona fide, then spoof
    assert {clip.regions for clip in fakes} == {(Region(0.64, 0.995),)}
    text(
        "database/dev/con_data/rttm_2cls_0sil",
        "SPEAKER CON_D_0000001 1 0.2001 0.1234 <NA> <NA> spoof <NA> <NA>\n",
    )
    regions = {
        clip.clip_id: clip.regions for clip in check_rows(PARTIALSPOOF.read(tmp_path).rows).clips
    }
    assert regions["CON_D_0000001"] == (Region(0.2001, 0.3235),)
    assert regions["CON_T_0000029"] == (Region(0.64, 0.995),)


def test_labels_that_contradict_the_protocol_are_named(published, tmp_path):
    published(CON_T_0000029=np.array(["1"] * 100), LA_D_1047731=np.array(["0", "1"]))
    listing = PARTIALSPOOF.read(tmp_path)
    assert [line.partition(" of its")[0] for line in listing.problems] == [
        "PartialSpoof.LA.cm.train.trl.txt row 1, label: CON_T_0000029 is fake, but 0",
        "PartialSpoof.LA.cm.dev.trl.txt row 2, label: LA_D_1047731 is genuine, but 1",
    ]
    assert len(listing.rows) == 4


def test_labels_far_longer_than_the_audio(published, tmp_path):
    published(CON_T_0000029=np.array(["1"] * 100 + ["0"] * 20))
    checked = check_rows(PARTIALSPOOF.read(tmp_path).rows)
    (line,) = checked.wrong
    assert "[1.0, 1.2] ends after CON_T_0000029.wav" in line


def test_a_fake_without_labels_is_named(published, tmp_path):
    published()
    path = tmp_path / "database/segment_labels/train_seglab_0.01.npy"
    np.save(path, {"LA_T_1138215": np.array(["1"])})
    listing = PARTIALSPOOF.read(tmp_path)
    assert listing.problems == [
        "PartialSpoof.LA.cm.train.trl.txt row 1, labels: CON_T_0000029 has no segment labels"
    ]


def test_missing_labels_name_the_download(published, tmp_path):
    published(steps=())
    with pytest.raises(InputError, match=r"train_seglab_0\.01\.npy: not found; download"):
        PARTIALSPOOF.read(tmp_path)
