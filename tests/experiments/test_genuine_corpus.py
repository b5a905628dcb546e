"""The selection of recordings for the larger corpus of genuine audio."""

import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from fakesound.errors import InputError
from fakesound.forging import embedded_clips

FILE = Path(__file__).parents[2] / "experiments" / "genuine_corpus" / "unpack.py"


@pytest.fixture(scope="module")
def unpack():
    made = importlib.util.spec_from_file_location("genuine_corpus_unpack", FILE)
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    return module


def test_so_many_are_chosen_and_the_same_again(unpack):
    names = [f"{folder}/{number}.ogg" for folder in "abcd" for number in range(40)]
    chosen = list(unpack.choose(names, 50, None, lambda name: True))
    assert len(chosen) == len(set(chosen)) == 50
    assert set(chosen) < set(names)
    assert chosen == list(unpack.choose(names[::-1], 50, None, lambda name: True))
    assert min(Counter(name[0] for name in chosen).values()) > 3


def test_those_not_kept_do_not_count(unpack):
    names = [f"{folder}/{number}.ogg" for folder in "abc" for number in range(10)]
    chosen = list(unpack.choose(names, 100, 4, lambda name: name[2] in "02468"))
    assert Counter(name[0] for name in chosen) == {"a": 4, "b": 4, "c": 4}
    assert all(name[2] in "02468" for name in chosen)


def test_what_is_too_short_too_quiet_or_there_twice_is_left(unpack, tmp_path):
    sounds = {
        "good.wav": np.full(16_000, 0.1),
        "again.wav": np.full(16_000, 0.1),
        "other.wav": np.full(20_000, 0.2),
        "short.wav": np.full(11_000, 0.3),
        "quiet.wav": np.full(16_000, 0.009),
    }
    root = tmp_path / "tree" / "usr" / "sounds"
    root.mkdir(parents=True)
    for name, audio in sounds.items():
        soundfile.write(root / name, audio, 16_000)
    (root / "notes.txt").write_text("no audio")
    (root / "bad.ogg").write_text("no audio")
    package = unpack.Package("some-data", "usr/sounds", "some", 10)
    told = unpack.extract(package, tmp_path / "tree", tmp_path)
    made = {path.stem for path in (tmp_path / "some").iterdir()}
    assert made in ({"good", "other"}, {"again", "other"})
    assert told.startswith("some: 2 recordings")
    audio, rate = soundfile.read(tmp_path / "some" / "other.flac")
    assert (len(audio), rate) == (20_000, 16_000)
    np.testing.assert_allclose(audio, 0.2, atol=1e-4)
    with pytest.raises(InputError, match="has no folder usr/nothing"):
        unpack.extract(unpack.Package("a", "usr/nothing", "a", 1), tmp_path / "tree", tmp_path)


def test_speakers_that_validate_or_test_are_not_trained_on(unpack):
    prompts = [clip for clip in embedded_clips() if clip.domain == "asterisk_prompts"]
    packages = {package.name for package in unpack.PACKAGES}
    for clip in prompts:
        package = clip.extra["origin"].split(" (")[0]
        assert (package in packages) == (clip.split == "train")
    # nor is a recording taken that is in the built-in corpus
    taken = [unpack.built_in(name) for name in packages if name.startswith("asterisk-core")]
    assert sum(map(len, taken)) == sum(clip.split == "train" for clip in prompts)
    assert all(name.endswith(".g722") for names in taken for name in names)
