import numpy as np
import pytest
import soundfile
import torch
from scipy import signal

from fakesound.errors import InputError
from fakesound.evaluation.scorer import score_clips
from fakesound.inference import Detector
from fakesound.scoring.checkpoint import read_checkpoint
from fakesound.timeline import GRID
from tests.factories import make_clip

from .conftest import RATE


def test_a_file_is_scored_as_in_evaluation(detector, checkpoint, sound, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, RATE, subtype="PCM_16")
    found = detector.detect(path)
    read = read_checkpoint(checkpoint)
    clip = make_clip("a", path, duration=len(sound) / RATE, sample_rate=RATE)
    seconds = read.config.data.window_seconds
    (scored,), _ = score_clips(read.detector(), [clip], RATE, seconds)
    (scored,) = read.calibrator.apply([scored])
    assert found.score == pytest.approx(scored.score, abs=1e-5)
    assert found.frame_scores == pytest.approx(scored.frame_scores, abs=1e-5)
    assert found.duration == pytest.approx(clip.duration)
    assert found.attack_family == max(scored.family.scores, key=scored.family.scores.get)
    assert found.path == str(path)


def test_an_array_scores_as_the_file_does(detector, sound, tmp_path):
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="PCM_16")
    stored, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    whole = detector.detect(tmp_path / "a.wav")
    integers, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    unsigned = (integers.astype(np.int32) + 32_768).astype(np.uint16)
    arrays = (
        stored,
        stored.astype(np.float64),
        integers,
        integers.astype(np.int32) * 65_536,
        unsigned,
        np.stack([stored, stored]),
        np.stack([stored, stored], axis=1),
    )
    for array in arrays:
        found = detector.detect(array, RATE)
        assert found.score == pytest.approx(whole.score, abs=1e-6)
        assert found.path is None


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
        np.sign(np.sin(np.arange(RATE))),
        np.random.default_rng(0).normal(0, 0.1, RATE // 10),
        np.full(1, 0.1),
    ],
    ids=["silent", "constant", "clipped", "tenth of a second", "one sample"],
)
def test_odd_recordings_have_finite_scores(detector, audio):
    found = detector.detect(audio, RATE)
    assert 0 <= found.score <= 1
    assert np.isfinite(found.frame_scores).all()
    assert len(found.frame_scores) == GRID.count(len(audio) / RATE)
    assert found.verdict in ("genuine", "fake", "uncertain")
    if len(audio) < RATE // 2 or not audio.any():
        assert found.verdict == "uncertain"
    assert all(0 <= r.onset < r.offset <= found.duration for r in found.regions)


@pytest.mark.parametrize(
    ("audio", "named"),
    [
        (np.array([0.1, np.nan]), "NaN"),
        (np.array([0.1, np.inf]), "NaN or Inf"),
        (np.zeros(0), "shape"),
        (np.zeros((2, 2, 2)), "shape"),
        (np.ones(3, bool), "bool"),
        (np.array(["a"]), "<U1"),
    ],
)
def test_arrays_that_are_not_recordings_are_refused(detector, audio, named):
    with pytest.raises(InputError, match=named):
        detector.detect(audio, RATE)


def test_a_verdict_needs_confidence(checkpoint, detector, sound):
    score = detector.detect(sound, RATE).score
    sure = score if score > detector.clip_threshold else 1 - score
    assert Detector.from_checkpoint(checkpoint, 0.5).detect(sound, RATE).verdict != "uncertain"
    unsure = Detector.from_checkpoint(checkpoint, min(0.999, sure + 1e-3)).detect(sound, RATE)
    assert unsure.verdict == "uncertain"
    with pytest.raises(InputError, match="confidence=1"):
        Detector.from_checkpoint(checkpoint, 1)


def test_regions_agree_with_the_verdict(detector, sound):
    found = detector.detect(sound, RATE)
    assert found.verdict != "genuine" or (not found.regions and found.attack_family is None)


def test_a_stream_scores_as_the_whole_and_is_checked_alike(detector, sound):
    other = signal.resample_poly(sound, 441, 160).astype(np.float32)
    whole = detector.detect(other, 44_100)
    parts = np.split(other, [1, 700, 50_000, 50_000])
    found = detector.detect_stream(iter(parts), 44_100)
    assert found.score == whole.score
    assert found.notes == whole.notes
    np.testing.assert_array_equal(found.frame_scores, whole.frame_scores)
    pcm = np.round(sound * 32_767).astype(np.int16)
    assert (
        detector.detect_stream([pcm[:999], pcm[999:]], RATE).score
        == detector.detect(pcm, RATE).score
    )
    for wrong in ([], [np.zeros(0)], [sound, np.array([np.nan])], [sound * 9], [pcm.tolist()],
                  [np.zeros((99, 2))]):  # fmt: skip
        with pytest.raises(InputError):
            detector.detect_stream(wrong, RATE)


def test_pairs_tensors_and_channels_of_one_recording(detector, sound):
    whole = detector.detect(sound, RATE)
    for same in ((RATE, sound), (torch.from_numpy(sound)[None], RATE)):
        assert detector.detect(same).score == whole.score
    both = np.stack([sound, -sound])
    assert detector.detect(both, RATE).score == whole.score
    assert detector.detect(np.stack([sound * 0, sound]), RATE, channel=1).score == whole.score


def test_arrays_need_their_rate_and_files_have_it(detector, sound, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound, RATE)
    with pytest.raises(InputError, match="give rate="):
        detector.detect(sound)
    with pytest.raises(InputError, match="rate=8000"):
        detector.detect(path, 8_000)
    with pytest.raises(InputError, match="list"):
        detector.detect_many(str(path))


def test_notes_are_those_of_the_channel(detector, sound, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([sound, sound * 0], axis=1), RATE)
    assert detector.detect(path, channel=0).notes == ()
    (silence,) = detector.detect(path, channel=1).notes
    assert "100%" in silence


def test_a_recording_far_shorter_than_a_training_crop_has_a_note(detector, sound):
    crop = detector.model.config.data.crop.seconds
    (note,) = detector.detect(sound[: round(crop * RATE / 4)], RATE).notes
    assert note.startswith("length: ")
    assert detector.detect(sound[: round(crop * RATE)], RATE).notes == ()


def test_quiet_audio_of_high_resolution_keeps_its_score(detector, sound, tmp_path):
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "b.wav", 1e-3 * sound, RATE, subtype="FLOAT")
    soundfile.write(tmp_path / "c.wav", 1e-3 * sound, RATE, subtype="PCM_24")
    float_quiet, quiet = detector.detect(tmp_path / "b.wav"), detector.detect(tmp_path / "c.wav")
    assert quiet.score == pytest.approx(float_quiet.score, abs=1e-3)
    assert detector.detect(tmp_path / "a.wav").notes == ()
    assert quiet.notes[0].startswith("level")


def test_progress_of_a_recording_counts_its_seconds(detector, tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 7 * 8_000), 8_000)
    seconds = []
    detector.detect(path, progress=seconds.append)
    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(7)


@pytest.mark.parametrize("name", ["prior", "confidence"])
@pytest.mark.parametrize("value", ["a", None, 2, [0.6]])
def test_a_setting_that_is_no_share_is_an_error(detector, sound, name, value):
    if value is not None:
        with pytest.raises(InputError, match=f"^{name}="):
            detector.detect(sound, RATE, **{name: value})
    with pytest.raises(InputError, match=f"^{name}="):
        Detector(detector.model, **{name: value})


@pytest.mark.parametrize("parts", [np.zeros(100, np.float32), b"samples", "a.wav"])
def test_a_stream_of_parts_is_not_one_recording(detector, parts):
    with pytest.raises(InputError, match=r"^parts: one recording"):
        detector.detect_stream(parts, RATE)


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_bytes_are_no_samples(detector, kind):
    with pytest.raises(InputError, match=r"numpy\.frombuffer"):
        detector.detect(kind(100), RATE)
    with pytest.raises(InputError, match=r"numpy\.frombuffer"):
        detector.detect_stream([kind(100)], RATE)
