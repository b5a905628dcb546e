"""One recording scores alike as a file, bytes, array and stream, and in every command."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

import fakesound
from fakesound.data.audio import read_audio
from fakesound.data.decoding import open_decoder
from fakesound.data.manifest import read_manifest
from tests.data.media import encode

EXAMPLE = Path(__file__).parents[2] / "docs" / "example.flac"
# name, rate, subtype of libsndfile or encoder of ffmpeg, container, channels
WAYS = [
    ("a.wav", 8_000, "PCM_U8", "WAV", 1),
    ("b.wav", 44_100, "PCM_24", "RF64", 2),
    ("c.wav", 384_000, "FLOAT", "WAV", 1),
    ("d.wav", 11_025, "IMA_ADPCM", "WAV", 1),
    ("e.aiff", 22_050, "ULAW", "AIFF", 8),
    ("f.opus", 48_000, "OPUS", "OGG", 1),
    ("g.ogg", 88_200, "VORBIS", "OGG", 2),
    ("h.mp3", 44_100, "libmp3lame", "mp3", 1),
    ("i.mp2", 32_000, "mp2", "mp2", 1),
    ("j.m4a", 48_000, "aac", "ipod", 2),
    ("k.wma", 44_100, "wmav2", "asf", 1),
    ("l.mka", 16_000, "flac", "matroska", 1),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the example in every way, and with odd names."""
    folder = tmp_path_factory.mktemp("ways")
    audio, rate = soundfile.read(EXAMPLE, dtype="float32")
    for name, own, codec, container, channels in WAYS:
        samples = np.clip(resample_poly(audio, own, rate), -1, 1)[:, None].repeat(channels, 1)
        if codec.isupper():
            soundfile.write(folder / name, samples, own, codec, format=container)
        else:
            encode(folder / name, samples, own, codec, container, 128_000)
    return folder


@pytest.fixture(scope="module")
def detector():
    return fakesound.Detector.from_pretrained()


@pytest.mark.parametrize("name", [way[0] for way in WAYS])
def test_file_bytes_array_and_stream_score_alike(detector, folder, name):
    path = folder / name
    wanted = detector.detect(path)
    assert (wanted.verdict, len(wanted.regions) >= 2) == ("fake", True)
    with path.open("rb") as file:
        assert detector.detect(file).score == pytest.approx(wanted.score, abs=1e-4)
    with open_decoder(path) as file:
        rate = file.samplerate
    mono = read_audio(path, rate)
    parts = [mono[start : start + 7_777] for start in range(0, len(mono), 7_777)]
    for result in (detector.detect(mono, rate), detector.detect_stream(parts, rate)):
        assert result.score == pytest.approx(wanted.score, abs=1e-4)
        np.testing.assert_allclose(result.frame_scores, wanted.frame_scores, atol=1e-4)


def command(*arguments, cwd):
    done = subprocess.run(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, errors="surrogateescape", check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_prepare_evaluate_and_detect_agree_on_every_file_and_name(detector, folder, tmp_path):
    for label in ("genuine", "fake/vocoder/world"):
        target = tmp_path / "own" / label
        target.mkdir(parents=True)
        for path in folder.iterdir():
            os.link(path, target / f"{label[0]}{path.name}")
        for name in (b"caf\xe9.wav", b"new\nline [b].wav", "\N{GRINNING FACE}.wav".encode()):
            os.link(folder / "a.wav", os.path.join(os.fsencode(target), label[:1].encode() + name))
        (target / "empty.wav").write_bytes(b"")
        (target / f"._{label[0]}.wav").write_bytes(b"\0\5\26\7")
    options = ("corpus=folder", "root=own", "out=out")
    assert command("fakesound.prepare", *options, cwd=tmp_path) == 2
    assert command("fakesound.prepare", *options, "allow_missing=true", cwd=tmp_path) == 0
    manifest = tmp_path / "out" / "manifest.jsonl"
    clips = {clip.clip_id: clip for clip in read_manifest(manifest)}
    assert len(clips) == 2 * (len(WAYS) + 3)
    problems = (tmp_path / "out" / "problems.txt").read_text().splitlines()
    assert [line.split(",")[0].rpartition("/")[2] for line in problems] == 2 * ["empty.wav"]
    assert command("fakesound.prepare", f"manifest={manifest}", "out=shards", cwd=tmp_path) == 0
    for source in (manifest, "shards/manifest.jsonl"):
        arguments = ("--checkpoint", "default", "--manifest", source, "--out", "results")
        assert command("fakesound.evaluate", *arguments, cwd=tmp_path) == 0
        lines = (tmp_path / "results" / "scores.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        assert len(rows) >= len(clips) - 3  # genuine clips of equal content count once
        for row in rows:
            wanted = detector.detect(clips[row["clip_id"]].location)
            assert row["score"] == pytest.approx(wanted.score, abs=1e-4)


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_forge_reads_the_same_files(folder, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for path in folder.iterdir():
        os.link(path, own / path.name)
    os.link(folder / "a.wav", os.path.join(os.fsencode(own), b"caf\xe9.wav"))
    (own / "empty.wav").write_bytes(b"")
    arguments = ("own", "out", "--attacks", "codec/gsm", "--train-fakes", 1,
                 "--evaluation-fakes", 1)  # fmt: skip
    assert command("fakesound.forge", *arguments, cwd=tmp_path) == 2
    assert command("fakesound.forge", *arguments, "--on-bad-audio", "skip", cwd=tmp_path) == 0
    sources = {clip.source_id for clip in read_manifest(tmp_path / "out" / "manifest.jsonl")}
    assert sources == {*(way[0] for way in WAYS), r"caf\xe9.wav"}
