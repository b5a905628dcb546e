import json

import pytest

from fakesound.corpora.check import check_rows
from fakesound.corpora.folder import FOLDER
from fakesound.timeline import Region


@pytest.mark.parametrize(
    ("genuine", "fake"),
    [("genuine", "fake"), ("real", "spoof"), ("bonafide", "Fake"), ("Bona-Fide", "fake")],
)
def test_labels_come_from_folders(tmp_path, audio, genuine, fake):
    audio(f"{genuine}/a7.wav", 1)
    audio(f"{genuine}/deep/fake_b.wav", 1)
    audio(f"{fake}/vocoder/world/a7.flac", 1)
    audio(f"{fake}/vocoder/world/deep/genuine.wav", 1)
    audio("elsewhere/c.wav", 1)
    listing = FOLDER.read(tmp_path)
    checked = check_rows(listing.rows)
    whole = (Region(0, 1),)
    assert {(c.clip_id, c.source_id, c.attack, c.regions, c.split) for c in checked.clips} == {
        (f"{genuine}/a7.wav", "a7", None, (), None),
        (f"{genuine}/deep/fake_b.wav", "fake_b", None, (), None),
        (f"{fake}/vocoder/world/a7.flac", "a7", "vocoder/world", whole, None),
        (f"{fake}/vocoder/world/deep/genuine.wav", "genuine", "vocoder/world", whole, None),
    }
    assert {clip.corpus for clip in checked.clips} == {tmp_path.name}
    assert listing.remarks == ["1 sources have several files (of equal names)"]


def test_sidecars_add_labels(tmp_path, audio, text):
    audio("genuine/a.wav", 2)
    audio("fake/edit/splice/x.wav", 2)
    text("genuine/a.json", json.dumps({"split": "dev", "source_id": "tape 1"}))
    known = {
        "regions": [[1.5, 2], [0.5, 1]],
        "source_id": "tape 1",
        "donor_ids": ["tape 2"],
        "split": "validation",
        "license": "CC0-1.0",
    }
    text("fake/edit/splice/x.json", json.dumps(known))
    clips = {c.clip_id: c for c in check_rows(FOLDER.read(tmp_path).rows).clips}
    fake = clips["fake/edit/splice/x.wav"]
    assert fake.regions == (Region(0.5, 1), Region(1.5, 2))
    assert (fake.sources, fake.license, fake.split) == (
        ("tape 1", "tape 2"),
        "CC0-1.0",
        "validation",
    )
    assert clips["genuine/a.wav"].source_id == "tape 1"
    assert clips["genuine/a.wav"].split == "validation"


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ("{", "x.json: not JSON"),
        ("[]", "x.json: not a JSON object"),
        ('{"region": []}', "x.json, region: no such key"),
        ('{"regions": 3}', "x.json, regions: 3; "),
        ('{"regions": [3]}', "x.json, regions: [3]; "),
        ('{"regions": [[2, 1]]}', "x.json, regions: [[2, 1]]; "),
        ('{"regions": []}', "label: fake, but"),
        ('{"regions": [[1, 3]]}', "regions: [1.0, 3.0] ends after"),
        ('{"split": "later"}', "split: 'later'"),
        ('{"source_id": 3}', "x.json, source_id: 3; "),
    ],
)
def test_invalid_sidecars_are_named(tmp_path, audio, text, known, message):
    audio("fake/edit/splice/x.wav", 2)
    text("fake/edit/splice/x.json", known)
    listing = FOLDER.read(tmp_path)
    (line,) = [*listing.problems, *check_rows(listing.rows).wrong]
    assert line.startswith(f"fake/edit/splice/x.wav, {message}")


def test_a_genuine_clip_with_regions_contradicts_its_folder(tmp_path, audio, text):
    audio("genuine/x.wav", 2)
    text("genuine/x.json", '{"regions": [[0, 1]]}')
    (line,) = check_rows(FOLDER.read(tmp_path).rows).wrong
    assert line.startswith("genuine/x.wav, label: genuine, but")


def test_fakes_without_an_attack_are_named(tmp_path, audio):
    audio("fake/a.wav", 1)
    audio("fake/vocoder/b.wav", 1)
    listing = FOLDER.read(tmp_path)
    assert listing.rows == []
    place = "fake/FAMILY/GENERATOR/, such as fake/unknown/unknown/"
    assert listing.problems == [
        f"fake/a.wav, attack: unknown; move the file to {place}",
        f"fake/vocoder/b.wav, attack: unknown; move the file to {place}",
    ]
