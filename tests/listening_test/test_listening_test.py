import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fakesound.data.audio import read_audio
from fakesound.data.manifest import read_manifest
from fakesound.errors import InputError
from fakesound.listening_test import Settings, make_test, open_test
from fakesound.listening_test.listening_test import listener_name

from .conftest import CLIPS


def test_clips_are_numbered_wav_files_of_one_format(listening, corpus):
    originals = {clip.clip_id: clip for clip in read_manifest(corpus)}
    files = sorted((listening.folder / "audio").iterdir())
    assert [path.name for path in files] == [f"{number}.wav" for number in range(1, CLIPS + 1)]
    kinds = set()
    for name, clip in listening.clips.items():
        path = listening.folder / "audio" / f"{name}.wav"
        assert clip.location == str(path)
        info = soundfile.info(path)
        kinds.add((info.samplerate, info.channels, info.format, info.subtype))
        # nothing but the length of the sound is in its size
        assert path.stat().st_size == 44 + 2 * info.frames
        original = read_audio(originals[clip.clip_id].location, 16_000)
        np.testing.assert_allclose(read_audio(path, 16_000), original, atol=1 / 32_768)
    assert kinds == {(16_000, 1, "WAV", "PCM_16")}


def test_numbers_do_not_reveal_the_label(corpus, tmp_path):
    # if they did, it would be so with every seed
    labels = set()
    for seed in range(6):
        listening = make_test([corpus], tmp_path / str(seed), Settings(clips=10, seed=seed))
        row = "".join(clip.label[0] for clip in listening.clips.values())
        assert row.count("f") == 5
        labels.add(row)
    assert len(labels) > 3


def test_every_listener_gets_the_same_clips_in_another_order(listening):
    orders = {name: listening.order(name) for name in ("Ann", "Bob", "Cem", "Dee")}
    assert all(sorted(order) == sorted(listening.clips) for order in orders.values())
    assert len({tuple(order) for order in orders.values()}) == 4
    assert listening.order(" ann".strip()) == orders["Ann"]


def test_a_reopened_test_is_the_same(listening, corpus):
    again = open_test(listening.folder, {"clips": None, "seed": 0}, [corpus])
    assert again.settings == listening.settings
    assert again.order("Ann") == listening.order("Ann")
    assert {name: clip.clip_id for name, clip in again.clips.items()} == {
        name: clip.clip_id for name, clip in listening.clips.items()
    }


def test_a_test_can_be_moved(listening, tmp_path_factory):
    there = tmp_path_factory.mktemp("elsewhere") / "moved"
    listening.folder.rename(there)
    again = open_test(there, {})
    assert all(
        Path(clip.location).is_file() and there in Path(clip.location).parents
        for clip in again.clips.values()
    )


def test_another_test_in_its_place_is_refused(listening, corpus, tmp_path):
    with pytest.raises(InputError, match=r"--seed=1: the test in .* was drawn with 0"):
        open_test(listening.folder, {"seed": 1})
    other = tmp_path / "other.jsonl"
    other.write_text(corpus.read_text() + "\n")
    with pytest.raises(InputError, match="drawn from another manifest"):
        open_test(listening.folder, {}, [other])
    assert open_test(tmp_path / "nothing", {}) is None


def test_a_damaged_folder_is_refused(listening):
    path = listening.folder / "listening_test.json"
    content = json.loads(path.read_text())
    for bad in ("{", json.dumps({"seed": 0}), "[]"):
        path.write_text(bad)
        with pytest.raises(InputError, match=r"listening_test\.json: is damaged"):
            open_test(listening.folder, {})
    del content["names"]["1"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"clips\.jsonl: does not belong to"):
        open_test(listening.folder, {})


def test_longer_clips_and_other_splits_are_not_drawn(corpus, tmp_path):
    listening = make_test([corpus], tmp_path, Settings(clips=2, max_seconds=1.5))
    assert all(clip.duration <= 1.5 for clip in listening.clips.values())
    with pytest.raises(InputError, match="no rows of split train"):
        make_test([corpus], tmp_path, Settings(split="train"))


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "a\x00b", None, 7, ["Ann"]])
def test_invalid_names_are_refused(name):
    with pytest.raises(InputError, match="listener: give a name"):
        listener_name(name)


def test_white_space_in_names_is_normalised():
    assert listener_name("  Ann \t  Lee\n") == "Ann Lee"


def test_clips_are_brought_to_one_level_without_clipping(corpus, tmp_path):
    listening = make_test([corpus], tmp_path / "test", Settings(clips=12, match_level=True))
    levels, peaks = [], []
    for clip in listening.clips.values():
        audio = read_audio(clip.location, 16_000)
        levels.append(20 * np.log10(np.sqrt(np.mean(audio[audio != 0] ** 2))))
        peaks.append(np.abs(audio).max())
    assert np.ptp(levels) < 0.1
    assert max(levels) <= -25.9
    assert max(peaks) < 1


def test_fakes_have_the_requested_attacks(corpus, tmp_path):
    settings = Settings(clips=8, left_out=["edit/three"])
    listening = make_test([corpus], tmp_path / "test", settings)
    assert {c.attack for c in listening.clips.values()} == {None, "edit/three"}
    again = open_test(tmp_path / "test", {"left_out": ["edit/three"]})
    assert again.settings.left_out == ["edit/three"]
    with pytest.raises(InputError, match=r"--left-out=codec/four: the test in .* edit/three"):
        open_test(tmp_path / "test", {"left_out": ["codec/four"]})


def test_tests_of_earlier_versions_can_be_opened(listening):
    path = listening.folder / "listening_test.json"
    content = json.loads(path.read_text())
    for key in ("thirds", "match_level", "left_out"):
        content.pop(key)
    path.write_text(json.dumps(content))
    assert open_test(listening.folder, {}).settings == listening.settings
