import json
from pathlib import Path

import pytest

from fakesound.corpora.check import check_rows
from fakesound.corpora.fakesound import FAKESOUND
from fakesound.errors import InputError
from fakesound.timeline import Region
from tests.corpora.conftest import read_clips

# a real id, and two that hold the signs that separate
IDS = ("9IIa7qH29ps", "3x_0EZFENtE", "-_oSwpsXI_-")


def item(subset, source, onset_offset="0_0", label=None):
    audio_id = source if onset_offset == "0_0" else f"{source}_{onset_offset}"
    return {
        "audio_id": audio_id,
        "label": int(onset_offset != "0_0") if label is None else label,
        "onset_offset": onset_offset,
        "filepath": f"FakeSound/deepfake_data/{subset}/{audio_id}.wav",
    }


LISTS = {
    "train": [("train", IDS[2], "0.04_3.84"), ("train", IDS[2])],
    "easy": [("easy", IDS[0], "6.12_7.4"), ("easy", IDS[0])],
    "hard": [("hard", IDS[0], "6.12_7.4"), ("hard", IDS[0]), ("hard", IDS[1], "1.8_3.32")],
    "zeroshot": [("zeroshot", IDS[0], "6.12_7.4"), ("zeroshot", IDS[0]), ("zeroshot", IDS[1])],
}


@pytest.fixture
def lists(text):
    def lists(place="FakeSound/meta_data", **changed):
        for subset, arguments in (LISTS | changed).items():
            rows = [item(*a) if isinstance(a, tuple) else a for a in arguments]
            text(f"{place}/{subset}.json", json.dumps({"audios": rows}))

    return lists


@pytest.fixture
def published(lists, audio):
    """Write the whole data set, all audio at its listed path."""
    lists()
    for arguments in (a for rows in LISTS.values() for a in rows):
        audio(item(*arguments)["filepath"])


def described(clip):
    return clip.clip_id, clip.source_id, clip.attack, clip.regions, clip.split, clip.subsets


EXPECTED = {
    (IDS[2], f"audiocaps/{IDS[2]}", None, (), "train", ()),
    (IDS[0], f"audiocaps/{IDS[0]}", None, (), "test", ("easy", "hard", "zeroshot")),
    (IDS[1], f"audiocaps/{IDS[1]}", None, (), "test", ("zeroshot",)),
    (
        f"train/{IDS[2]}_0.04_3.84",
        f"audiocaps/{IDS[2]}",
        "inpainting/audioldm2_audiosr",
        (Region(0.04, 3.84),),
        "train",
        (),
    ),
    *(
        (
            f"{subset}/{IDS[0]}_6.12_7.4",
            f"audiocaps/{IDS[0]}",
            f"inpainting/{generator}",
            (Region(6.12, 7.4),),
            "test",
            (subset,),
        )
        for subset, generator in [
            ("easy", "audioldm2_audiosr"),
            ("hard", "audioldm2_audiosr"),
            ("zeroshot", "audioldm1"),
        ]
    ),
    (
        f"hard/{IDS[1]}_1.8_3.32",
        f"audiocaps/{IDS[1]}",
        "inpainting/audioldm2_audiosr",
        (Region(1.8, 3.32),),
        "test",
        ("hard",),
    ),
}


@pytest.mark.parametrize("root", [".", "FakeSound", "FakeSound/meta_data"])
def test_the_published_lists_become_clips(published, tmp_path, root):
    clips, remarks = read_clips(FAKESOUND, tmp_path / root)
    assert {described(clip) for clip in clips} == EXPECTED
    assert len(clips) == len(EXPECTED)
    assert all(clip.label == ("fake" if clip.attack else "genuine") for clip in clips)
    assert {Path(clip.location).parent.name for clip in clips} == set(LISTS)
    assert remarks == ["5 genuine rows list 3 recordings: merged, with all their subsets"]


def test_downloaded_genuine_recordings_are_found_by_id(lists, audio, tmp_path):
    lists()
    for arguments in (a for rows in LISTS.values() for a in rows if len(a) == 3):
        audio(item(*arguments)["filepath"])
    own = audio(f"AudioCaps/Y{IDS[0]}.flac"), audio(f"AudioCaps/more/{IDS[1]}.wav")
    listing = FAKESOUND.read(tmp_path)
    checked = check_rows(listing.rows)
    assert {Path(clip.location) for clip in checked.clips if not clip.is_fake} == set(own)
    (missing,) = checked.missing
    assert f"FakeSound/deepfake_data/train/{IDS[2]}.wav" in missing
    assert listing.remarks[1].startswith("2 genuine recordings found by YouTube id")


def test_a_recording_counts_if_any_test_set_has_it(lists, audio, tmp_path):
    lists(train=[], hard=[("hard", IDS[0])])
    path = audio(item("hard", IDS[0])["filepath"])
    listing = FAKESOUND.read(tmp_path)
    (clip,) = (clip for clip in check_rows(listing.rows).clips if clip.source_id.endswith(IDS[0]))
    assert (Path(clip.location), clip.subsets) == (path, ("easy", "hard", "zeroshot"))


def test_rows_that_contradict_themselves_are_named(lists, audio, tmp_path):
    bad = [
        item("train", IDS[0], "1_2", label=0),
        item("train", IDS[0], label=1),
        item("train", IDS[1], "1_2", label=2),
        item("train", "short"),
        item("train", IDS[1], "2_1"),
        item("train", IDS[1], "1;2"),
        item("train", IDS[1], "9_11"),
        {"audio_id": IDS[1]},
    ]
    lists(train=bad, easy=[], hard=[], zeroshot=[])
    for row in bad[:-1]:
        audio(row["filepath"])
    listing = FAKESOUND.read(tmp_path)
    checked = check_rows(listing.rows)
    errors = dict(line.split(", ", 1) for line in [*listing.problems, *checked.wrong])
    assert set(errors) == {f"train.json clip {number}" for number in range(1, 9)}
    assert errors["train.json clip 1"].startswith("label: genuine, but")
    assert errors["train.json clip 2"].startswith("label: fake, but")
    assert errors["train.json clip 3"].startswith("label: 2")
    assert errors["train.json clip 4"].startswith("audio_id: 'short'")
    assert errors["train.json clip 5"].startswith("onset_offset: region [2.0, 1.0]")
    assert errors["train.json clip 6"].startswith("onset_offset: '1;2'")
    assert errors["train.json clip 7"].startswith("regions: [9.0, 11.0] ends after")
    assert errors["train.json clip 8"].startswith("label: missing")
    assert checked.clips == []


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"audios": 3}'])
def test_lists_of_another_format_are_refused(text, tmp_path, content):
    text("meta_data/easy.json", content)
    with pytest.raises(InputError, match=r"easy\.json: .*download it again"):
        FAKESOUND.read(tmp_path)
