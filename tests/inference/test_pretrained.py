import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

import fakesound
from fakesound.attacks import ATTACKS
from fakesound.data.audio import read_audio
from fakesound.data.compose import Cut, cut_in
from fakesound.data.samples import from_pcm, to_pcm
from fakesound.forging import embedded_clips
from fakesound.inference.model import PRETRAINED_ONNX, read_model
from fakesound.scoring.checkpoint import read_checkpoint
from fakesound.scoring.metadata import PRETRAINED
from tests.data.media import encode

RATE = 16_000


@pytest.fixture(scope="module")
def detector():
    return fakesound.Detector.from_pretrained()


def test_the_file_is_small_and_names_its_training_data():
    assert PRETRAINED.stat().st_size < 4e6
    checkpoint = read_checkpoint("default")
    # those of the forge, and published systems
    assert len(checkpoint.attacks) > 500
    assert {"vocoder/world", "codec/encodec", "tts/vits"} <= set(checkpoint.attacks)
    assert set(checkpoint.thresholds) == {"clip", "frame"}
    assert checkpoint.calibrator.method == "logistic"
    # no place of the machine of the training
    assert "/" not in str(checkpoint.config.data.train)


def test_both_files_score_alike(detector):
    metadata = detector.model
    assert metadata.backend == "onnx"
    assert metadata.weights_sha256 == hashlib.sha256(PRETRAINED.read_bytes()).hexdigest()
    assert metadata.sha256 == hashlib.sha256(PRETRAINED_ONNX.read_bytes()).hexdigest()
    assert max(file.stat().st_size for file in (PRETRAINED, PRETRAINED_ONNX)) < 4e6
    torch = fakesound.Detector.from_pretrained(backend="torch")
    assert torch.model.thresholds == metadata.thresholds
    assert torch.model.heads == metadata.heads
    clips = [clip for clip in embedded_clips() if clip.split == "test"][:6]
    for clip in clips:
        ours, theirs = detector.detect(clip.location), torch.detect(clip.location)
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)
        np.testing.assert_allclose(ours.frame_scores, theirs.frame_scores, atol=1e-4)
        assert (ours.verdict, ours.kind) == (theirs.verdict, theirs.kind)
        assert ours.attack_family == theirs.attack_family


def with_a_fake_part(number):
    """Return a recording of speech whose second from 1 to 2 s is fake, and the original."""
    speech = [c for c in embedded_clips() if c.split == "test" and "asterisk" in c.source_id]
    clip = [clip for clip in speech if 3 < clip.duration < 6][number]
    audio = read_audio(clip.location, RATE)
    fake = ATTACKS["vocoder/mel_griffin_lim"].render(audio, RATE, np.random.default_rng(number))
    cut = Cut(int(1.0 * RATE), int(2.0 * RATE), 100)
    return from_pcm(cut_in(to_pcm(audio), to_pcm(fake), [cut])), audio


def test_an_inserted_part_is_found(detector, tmp_path):
    result = 0
    for number in range(4):
        spliced, audio = with_a_fake_part(number)
        path = tmp_path / f"{number}.flac"
        soundfile.write(path, spliced, RATE)
        detection = detector.detect(path)
        # the fake scores higher than its original, and its region is found
        assert detection.score > detector.detect(audio, RATE).score
        if detection.regions:
            best = max(detection.regions, key=lambda region: region.offset - region.onset)
            result += best.onset < 1.3 and best.offset > 1.7
    assert result >= 3


# encoder, suffix, sample rate and channels
FILES = [
    ("pcm_u8", "wav", 22_050, 1), ("pcm_s24le", "wav", 48_000, 6), ("pcm_f32le", "wav", 16_000, 2),
    ("pcm_s16le", "w64", 16_000, 1), ("pcm_s16be", "aiff", 44_100, 2),
    ("pcm_s16be", "au", 32_000, 1), ("alac", "caf", 48_000, 2), ("flac", "flac", 96_000, 2),
    ("wavpack", "wv", 16_000, 1), ("tta", "tta", 44_100, 2), ("alac", "m4a", 48_000, 2),
    ("libmp3lame", "mp3", 44_100, 2), ("libmp3lame", "mp3", 16_000, 1),
    ("libmp3lame", "avi", 44_100, 1), ("libmp3lame", "flv", 44_100, 2), ("mp2", "mp2", 48_000, 2),
    ("libopus", "opus", 48_000, 2), ("libopus", "webm", 16_000, 1), ("aac", "m4a", 44_100, 2),
    ("aac", "mp4", 48_000, 6), ("aac", "mov", 16_000, 1), ("aac", "aac", 16_000, 1),
    ("aac", "flv", 44_100, 2), ("aac", "ts", 48_000, 2), ("aac", "mkv", 32_000, 1),
    ("ac3", "ac3", 48_000, 6), ("wmav2", "wma", 44_100, 2),
]  # fmt: skip


def test_one_recording_in_any_format_has_the_same_regions(detector, tmp_path):
    spliced, _ = with_a_fake_part(0)
    wanted = detector.detect(spliced, RATE)
    assert (wanted.verdict, len(wanted.regions)) == ("fake", 1)
    for encoder, suffix, rate, channels in FILES:
        common = np.gcd(rate, RATE)
        audio = resample_poly(spliced, rate // common, RATE // common)
        path = tmp_path / f"a.{suffix}"
        encode(path, np.repeat(audio[:, None], channels, axis=1), rate, encoder, bit_rate=256_000)
        result = detector.detect(path)
        assert (result.verdict, result.kind) == (wanted.verdict, wanted.kind), path.name
        times = np.array([(region.onset, region.offset) for region in result.regions])
        expected = [(region.onset, region.offset) for region in wanted.regions]
        np.testing.assert_allclose(
            times, expected, rtol=0, atol=0.0401, err_msg=f"{path} {encoder}"
        )


@pytest.mark.parametrize("threads", ["2,1", "", "all"])
def test_any_number_of_threads_in_the_environment_is_accepted(threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert read_model("default", "onnx").backend == "onnx"


@pytest.mark.parametrize("threads", ["1", "3"])
def test_windows_have_the_same_outputs_in_any_batch(threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    model = read_model("default", "onnx")
    length = round(model.config.data.window_seconds * RATE)
    windows = np.random.default_rng(0).standard_normal((7, length)).astype(np.float32)
    windows *= np.geomspace(1e-3, 0.3, 7, dtype=np.float32)[:, None]
    together = model.forward(windows)
    for number, window in enumerate(windows):
        for name, values in model.forward(window[None]).items():
            np.testing.assert_allclose(together[name][number], values[0], rtol=0, atol=1e-4)


def test_onnxruntime_collects_no_usage_data(tmp_path):
    ours = {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    program = "import fakesound; fakesound.Detector.from_pretrained()"
    folders = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment | folders, check=True)
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in str(path)]
