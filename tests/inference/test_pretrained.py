import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import fakesound
from fakesound.attacks import ATTACKS
from fakesound.data.audio import read_audio
from fakesound.data.compose import Cut, cut_in
from fakesound.data.samples import from_pcm, to_pcm
from fakesound.forging import embedded_clips
from fakesound.inference.model import PRETRAINED_ONNX, read_model
from fakesound.scoring.checkpoint import read_checkpoint
from fakesound.scoring.metadata import PRETRAINED

RATE = 16_000


@pytest.fixture(scope="module")
def detector():
    return fakesound.Detector.from_pretrained()


def test_it_is_small_and_knows_what_it_was_trained_on():
    assert PRETRAINED.stat().st_size < 4e6
    checkpoint = read_checkpoint("default")
    # those of the forge, and published systems
    assert len(checkpoint.attacks) > 500
    assert {"vocoder/world", "codec/encodec", "tts/vits"} <= set(checkpoint.attacks)
    assert set(checkpoint.thresholds) == {"clip", "frame"}
    assert checkpoint.calibrator.method == "logistic"
    # no place of the machine of the training
    assert "/" not in str(checkpoint.config.data.train)


def test_both_files_of_it_agree(detector):
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


def test_a_part_put_into_a_recording_is_found(detector, tmp_path):
    speech = [c for c in embedded_clips() if c.split == "test" and "asterisk" in c.source_id]
    long = [clip for clip in speech if 3 < clip.duration < 6][:4]
    assert len(long) == 4
    found = 0
    for number, clip in enumerate(long):
        audio = read_audio(clip.location, RATE)
        rng = np.random.default_rng(number)
        fake = ATTACKS["vocoder/mel_griffin_lim"].render(audio, RATE, rng)
        cut = Cut(int(1.0 * RATE), int(2.0 * RATE), 100)
        made = from_pcm(cut_in(to_pcm(audio), to_pcm(fake), [cut]))
        path = tmp_path / f"{number}.flac"
        soundfile.write(path, made, RATE)
        told = detector.detect(path)
        # the fake scores higher than what it was made of, and where it is
        assert told.score > detector.detect(audio, RATE).score
        if told.regions:
            best = max(told.regions, key=lambda region: region.offset - region.onset)
            found += best.onset < 1.3 and best.offset > 1.7
    assert found >= 3


@pytest.mark.parametrize("threads", ["2,1", "", "all"])
def test_any_number_of_threads_in_the_environment_is_accepted(threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert read_model("default", "onnx").backend == "onnx"


def test_onnxruntime_collects_no_usage_data(tmp_path):
    ours = {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    program = "import fakesound; fakesound.Detector.from_pretrained()"
    folders = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environment | folders, check=True)
    assert not [path for path in tmp_path.rglob("*") if "onnxruntime" in str(path)]
