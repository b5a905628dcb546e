import numpy as np
import pytest
import soundfile
from scipy import signal

from fakesound.errors import InputError
from fakesound.evaluation.scorer import Hearing, score_clips
from fakesound.inference import Detector
from fakesound.models.build import GRID
from fakesound.scoring.checkpoint import read_checkpoint
from tests.factories import make_clip

from .conftest import RATE


def test_a_file_is_scored_as_in_evaluation(detector, checkpoint, sound, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, RATE, subtype="PCM_16")
    found = detector.detect(path)
    read = read_checkpoint(checkpoint)
    clip = make_clip("a", path, duration=len(sound) / RATE, sample_rate=RATE)
    hearing = Hearing(GRID, RATE, read.config.data.window_seconds)
    (scored,), _ = score_clips(read.detector(), [clip], hearing, lambda clip: None)
    (scored,) = read.calibrator.applied([scored])
    assert found.score == pytest.approx(scored.score, abs=1e-5)
    assert found.frame_scores == pytest.approx(scored.frame_scores, abs=1e-5)
    assert found.duration == pytest.approx(clip.duration)
    assert found.attack_family == max(scored.family.scores, key=scored.family.scores.get)
    assert found.path == str(path)


def test_an_array_is_heard_as_the_file_is(detector, sound, tmp_path):
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="PCM_16")
    stored, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    whole = detector.detect(tmp_path / "a.wav")
    integers, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    for given in (stored, stored.astype(np.float64), integers, np.stack([stored, stored])):
        found = detector.detect(given)
        assert found.score == pytest.approx(whole.score, abs=1e-6)
        assert found.path is None
    assert detector.detect(np.stack([stored, stored], axis=1)).score == pytest.approx(whole.score)


@pytest.mark.parametrize(("rate", "channels"), [(96_000, 2), (8_000, 1), (44_100, 6)])
def test_any_rate_and_number_of_channels(detector, sound, tmp_path, rate, channels):
    other = signal.resample_poly(sound, rate // 100, RATE // 100)
    soundfile.write(tmp_path / "a.wav", np.stack([other] * channels, axis=1), rate)
    found = detector.detect(tmp_path / "a.wav")
    assert found.duration == pytest.approx(len(sound) / RATE, abs=0.01)
    assert len(found.frame_scores) == GRID.count(found.duration)
    if rate > RATE:
        soundfile.write(tmp_path / "b.wav", sound, RATE)
        assert found.score == pytest.approx(detector.detect(tmp_path / "b.wav").score, abs=0.05)


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(RATE),
        np.full(RATE, 0.5),
        np.sign(np.sin(np.arange(RATE))) * 3.0,
        np.random.default_rng(0).normal(0, 0.1, RATE // 10),
        np.full(1, 0.1),
    ],
    ids=["silent", "constant", "clipped", "tenth of a second", "one sample"],
)
def test_odd_recordings_have_a_finite_answer(detector, audio):
    found = detector.detect(audio)
    assert 0 <= found.score <= 1
    assert np.isfinite(found.frame_scores).all()
    assert len(found.frame_scores) == GRID.count(len(audio) / RATE)
    assert found.verdict in ("genuine", "fake", "uncertain")
    assert all(0 <= r.onset < r.offset <= found.duration for r in found.regions)


@pytest.mark.parametrize(
    ("audio", "said"),
    [
        (np.array([0.1, np.nan]), "NaN"),
        (np.array([0.1, np.inf]), "NaN or Inf"),
        (np.zeros(0), "shape"),
        (np.zeros((2, 2, 2)), "shape"),
    ],
)
def test_what_is_no_recording_is_refused(detector, audio, said):
    with pytest.raises(InputError, match=said):
        detector.detect(audio)


def test_a_verdict_needs_confidence(checkpoint, detector, sound):
    score = detector.detect(sound).score
    sure = max(score, 1 - score)
    assert Detector.from_checkpoint(checkpoint, 0.5).detect(sound).verdict != "uncertain"
    unsure = Detector.from_checkpoint(checkpoint, min(0.999, sure + 1e-3)).detect(sound)
    assert unsure.verdict == "uncertain"
    with pytest.raises(InputError, match="confidence=1"):
        Detector.from_checkpoint(checkpoint, 1)


def test_regions_go_with_the_verdict(detector, sound):
    found = detector.detect(sound)
    assert found.verdict != "genuine" or (not found.regions and found.attack_family is None)


def test_many_files_and_those_that_cannot_be_read(detector, sound, tmp_path):
    soundfile.write(tmp_path / "a.wav", sound, RATE)
    (tmp_path / "b.wav").write_bytes(b"no audio")
    one, other = detector.detect_all([tmp_path / "a.wav", tmp_path / "b.wav"])
    assert one.score == detector.detect(tmp_path / "a.wav").score
    assert isinstance(other, InputError)


def test_a_stream_is_heard_as_the_whole(detector, sound):
    listening = detector.listen()
    given = [listening.push(sound[start : start + 700]) for start in range(0, len(sound), 700)]
    found = listening.finish()
    assert found.score == pytest.approx(detector.detect(sound).score, abs=1e-3)
    assert any(part is not None for part in given)
