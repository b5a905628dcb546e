"""Changed copies of a recording are found."""

import numpy as np
import pytest

from fakesound.attacks.codec import transcode
from fakesound.augmentation.effects import CODECS
from fakesound.corpora.public_generators.fingerprints import landmarks, same_recordings

from .conftest import tune

RATE = 16_000


def changed(audio, how):
    rng = np.random.default_rng(0)
    if how == "later":
        return np.concatenate((tune(99, 0.6, RATE), audio))
    if how == "louder":
        return np.clip(4 * audio, -1, 1)
    if how == "noise":
        return audio + rng.normal(0, 0.003, len(audio)).astype(np.float32)
    return transcode(audio, RATE, rng, how, CODECS[how][1])


@pytest.mark.parametrize("how", ["later", "louder", "noise", "mp3", "vorbis"])
def test_a_recording_is_found_again(how):
    audio = tune(1, 4.0, RATE)
    others = [landmarks(tune(seed, 4.0, RATE), RATE) for seed in range(10, 16)]
    marks = [*others[:3], landmarks(audio, RATE), *others[3:], landmarks(changed(audio, how), RATE)]
    assert same_recordings(marks) == [(3, 7)]


def test_other_recordings_and_silence_are_not_the_same():
    marks = [landmarks(tune(seed, 3.0, RATE), RATE) for seed in range(12)]
    marks += [
        landmarks(np.zeros(RATE, np.float32), RATE),
        landmarks(np.zeros(10, np.float32), RATE),
    ]
    assert same_recordings(marks) == []
    assert same_recordings([]) == []


def test_recordings_without_a_common_landmark_are_no_pair():
    marks = np.array([[7, 0], [8, 1]])
    assert same_recordings([marks, marks + 10]) == []
