"""Damaged files: each is read or refused with an error that names it, and nothing crashes."""

import io
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tests.data.media import encode

FORMATS = (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "GSM610"),
           ("WAV", "MS_ADPCM"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"),
           ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_24"),
           ("AU", "ULAW"), ("CAF", "ALAC_16"), ("W64", "PCM_16"), ("RF64", "PCM_24"))  # fmt: skip
# encoder and container of formats that PyAV decodes
FOREIGN = (("aac", "ipod"), ("alac", "ipod"), ("aac", "adts"), ("aac", "matroska"),
           ("aac", "flv"), ("aac", "mpegts"), ("libopus", "webm"), ("wmav2", "asf"),
           ("ac3", "ac3"), ("wavpack", "wv"), ("tta", "tta"), ("pcm_s16le", "avi"),
           ("libmp3lame", "mp4"), ("mp2", "mpeg"), ("flac", "ogg"))  # fmt: skip
EXTREMES = (bytes(4), b"\xff" * 4, b"\x7f\xff\xff\xff")
# in a process of its own: a decoder that crashes takes it down
READ = """
import signal
import sys
from pathlib import Path

import numpy as np

from fakesound.data.audio import read_audio
from fakesound.data.manifest import read_manifest
from fakesound.data.audio import stream_audio
from fakesound.errors import InputError

folder, good, refused = Path(sys.argv[1]), 0, 0
for path in sorted(folder.iterdir()):
    signal.alarm(20)
    try:
        if path.suffix == ".jsonl":
            read_manifest(path)
        else:
            audio = read_audio(path, 16_000)
            assert np.isfinite(audio).all() and audio.ndim == 1
            assert np.isfinite(np.concatenate(list(stream_audio(path, 16_000)))).all()
        good += 1
    except InputError as error:
        message = str(error)
        assert str(path) in message and len(message.splitlines()) == 1, message
        refused += 1
status = Path("/proc/self/status")
if status.exists():
    # unlike getrusage, it leaves out the process that started this one
    assert int(status.read_text().split("VmHWM:")[1].split()[0]) < 1_000_000
print(good, refused)
"""


def mutated(data, rng):
    """Return ``data`` with some bytes changed, cut out, repeated or cut off."""
    changed = bytearray(data)
    for number in range(int(rng.integers(1, 6))):
        place = int(rng.integers(0, len(changed)))
        kind = int(rng.integers(0, 6))
        if kind == 0:
            changed[place] = int(rng.integers(0, 256))
        elif kind == 1:
            # in the header, where it hurts
            changed[place % min(len(changed), 64)] = int(rng.integers(0, 256))
        elif kind == 2:
            del changed[place : place + int(rng.integers(1, 40))]
        elif kind == 3:
            changed[place:place] = changed[place : place + int(rng.integers(1, 40))]
        elif kind == 4:
            # a length that is far too large, or none
            changed[place : place + 4] = EXTREMES[number % 3]
        else:
            del changed[max(1, place) :]
        changed = changed or bytearray(b"\0")
    return bytes(changed)


def originals(folder):
    rng = np.random.default_rng(0)
    for container, subtype in FORMATS:
        file = io.BytesIO()
        rate = 48_000 if subtype == "OPUS" else 16_000
        soundfile.write(file, rng.normal(0, 0.1, 3_000), rate, subtype, format=container)
        yield f".{container.lower()}", file.getvalue()
    samples = rng.normal(0, 0.1, 9_600).astype(np.float32)
    for codec, container in FOREIGN:
        rate = 48_000 if codec in ("libopus", "ac3", "mp2") else 16_000
        path = encode(folder / "original", samples, rate, codec, container, 64_000)
        yield ".m4a", path.read_bytes()
        path.unlink()


def read_all(folder):
    done = subprocess.run(
        [sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3_000:]
    # libraries print exceptions that they drop
    assert "Traceback" not in done.stderr
    return [int(number) for number in done.stdout.split()]


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_audio_is_read_or_refused(tmp_path, count):
    rng = np.random.default_rng(1)
    kinds = list(originals(tmp_path))
    for number in range(count):
        suffix, data = kinds[number % len(kinds)]
        (tmp_path / f"{number:05}{suffix}").write_bytes(mutated(data, rng))
    good, refused = read_all(tmp_path)
    assert good + refused == count
    assert refused > count / 10
    assert good > count / 20


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_manifests_are_read_or_refused(tmp_path, count):
    row = {
        "clip_id": "a", "path": "a.wav", "source_id": "s", "label": "fake", "attack": "x/y",
        "regions": [[0.5, 1.25]], "duration": 2.0, "sample_rate": 16_000, "corpus": "c",
        "split": None,
    }  # fmt: skip
    folder = tmp_path / "manifests"
    folder.mkdir()
    other = row | {"clip_id": "b", "label": "genuine", "attack": None, "regions": []}
    text = "".join(json.dumps(one) + "\n" for one in (row, other)).encode()
    rng = np.random.default_rng(2)
    for number in range(count):
        (folder / f"{number:05}.jsonl").write_bytes(mutated(text, rng))
    good, refused = read_all(folder)
    assert good + refused == count
    assert refused > count / 2
