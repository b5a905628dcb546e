"""Clips under conditions, against scores of files that were changed beforehand."""

import numpy as np
import pytest
import soundfile
from msgspec.structs import replace

from fakesound.augmentation.conditions import apply_condition, match_conditions
from fakesound.clip import Clip
from fakesound.data.audio import read_audio
from fakesound.errors import InputError
from fakesound.evaluation.scorer import score_clips, score_conditions
from fakesound.scoring.checkpoint import read_checkpoint
from fakesound.timeline import Region
from tests.inference.conftest import RATE, checkpoint  # noqa: F401

CONDITIONS = match_conditions(["gain_down", "trim", "clipping"])


@pytest.fixture
def clips(tmp_path):
    rng = np.random.default_rng(0)
    clips = []
    for number, seconds in enumerate((1.5, 0.7, 2.4)):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, rng.normal(0, 0.1, round(seconds * RATE)), RATE)
        region = (Region(0.2, 0.6),) if number else ()
        label, attack = ("fake", "x/y") if number else ("genuine", None)
        clips.append(Clip(path.stem, str(path), "s", label, attack, region, seconds, RATE, "made"))
    return clips


def changed(clip, condition, folder):
    """Return the clip with its audio under a condition in a file of its own."""
    audio = read_audio(clip.location, RATE)
    audio, regions, duration = apply_condition(condition, audio, RATE, clip.regions, clip.clip_id)
    path = folder / f"{clip.clip_id}-{condition.name}.wav"
    soundfile.write(path, audio, RATE, subtype="FLOAT")
    return replace(clip, location=str(path), regions=regions, duration=duration)


def test_conditions_together_are_those_of_changed_files(clips, checkpoint, tmp_path):  # noqa: F811
    detector = read_checkpoint(checkpoint).detector()
    together, skipped = score_conditions(CONDITIONS, detector, clips, RATE, 1.0)
    assert not skipped
    for condition, result in zip(CONDITIONS, together, strict=True):
        files = [changed(clip, condition, tmp_path) for clip in clips]
        wanted, _ = score_clips(detector, files, RATE, 1.0)
        assert [(s.clip_id, s.regions, s.duration) for s in result] == [
            (s.clip_id, s.regions, s.duration) for s in wanted
        ]
        for one, other in zip(result, wanted, strict=True):
            assert one.logit == pytest.approx(other.logit, abs=1e-4)
            np.testing.assert_allclose(one.frame_scores, other.frame_scores, atol=1e-5)


def test_audio_that_cannot_be_used_is_an_error_or_skipped(clips, checkpoint):  # noqa: F811
    detector = read_checkpoint(checkpoint).detector()
    clips[1] = replace(clips[1], location=clips[1].location + ".gone")
    with pytest.raises(InputError, match=r"1\.wav\.gone"):
        score_conditions(CONDITIONS, detector, clips, RATE, 1.0)
    together, skipped = score_conditions(
        CONDITIONS, detector, clips, RATE, 1.0, on_bad_audio="skip"
    )
    assert [[score.clip_id for score in scores] for scores in together] == [["0", "2"]] * 3
    (fault,) = skipped
    assert "1.wav.gone" in fault
