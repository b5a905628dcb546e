"""Every way of reading a file gives the same samples, also with a wrong header."""

import struct
import tracemalloc

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from fakesound.data.audio import audio_info, read_audio, read_pcm, stream_audio
from fakesound.data.decoding import decode_blocks, open_decoder

RATE = 44_100


def sweep(seconds=8.0, rate=RATE):
    time = np.arange(int(seconds * rate)) / rate
    noise = np.random.default_rng(0).normal(size=time.size) * (np.sin(3 * time) > 0)
    return (0.3 * np.sin(2 * np.pi * 300 * time * (1 + 0.1 * np.sin(time))) + 0.05 * noise).astype(
        np.float32
    )


def decode(path, start=0, block=262_144):
    with open_decoder(path) as file:
        return np.concatenate([*decode_blocks(file, start, block)])[:, 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("decoding")


@pytest.fixture(scope="module")
def mp3(folder):
    """Return an MP3 file of variable bit rate, with its information frame."""
    path = folder / "variable.mp3"
    with soundfile.SoundFile(
        path, "w", RATE, 1, "MPEG_LAYER_III", format="MP3", bitrate_mode="VARIABLE",
        compression_level=0.5,
    ) as file:  # fmt: skip
        file.write(sweep())
    return path


FORMATS = [
    ("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "GSM610"), ("WAV", "MS_ADPCM"), ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"), ("OGG", "OPUS"), ("AIFF", "PCM_16"), ("CAF", "ALAC_16"),
    ("MP3", "MPEG_LAYER_III"),
]  # fmt: skip


@pytest.mark.parametrize(("container", "subtype"), FORMATS)
def test_whole_blocks_and_windows_are_the_same_samples(folder, container, subtype):
    path, rate = folder / f"{container}-{subtype}", 48_000 if subtype == "OPUS" else RATE
    soundfile.write(path, sweep(rate=rate), rate, format=container, subtype=subtype)
    whole = decode(path)
    assert abs(len(whole) - len(sweep(rate=rate))) <= 4096
    for block in (777, 50_000):
        np.testing.assert_array_equal(decode(path, block=block), whole)
    np.testing.assert_array_equal(decode(path, start=123_457), whole[123_457:])
    np.testing.assert_array_equal(read_audio(path, rate), whole)
    np.testing.assert_array_equal(read_audio(path, rate, 60_001, 5_000), whole[60_001:65_001])
    np.testing.assert_array_equal(np.concatenate([*stream_audio(path, rate)]), whole)
    assert audio_info(path).samples == len(whole)


@given(block=st.integers(1_000, 300_000), start=st.integers(0, 340_000))
@settings(max_examples=15, deadline=None)
def test_any_block_and_start_of_an_mp3(mp3, block, start):
    np.testing.assert_array_equal(decode(mp3, start, block), decode(mp3)[start:])


def without_information_frame(path):
    data = path.read_bytes()
    second = data.index(b"\xff\xfb", 4)
    return data[second:]


def test_an_mp3_without_a_length_is_decoded_to_its_end(mp3, tmp_path):
    path = tmp_path / "bare.mp3"
    path.write_bytes(without_information_frame(mp3))
    whole, result = decode(mp3), decode(path)
    # an encoder's delay and padding are only known from the information frame
    assert 0 <= len(result) - len(whole) < 3 * 1152
    delay = np.flatnonzero(
        [np.abs(result[at : at + 200_000] - whole[:200_000]).max() < 1e-6 for at in range(1200)]
    )
    assert len(delay) == 1
    assert audio_info(path).samples == len(result)


def test_chunks_after_the_audio_are_no_audio(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, sweep(1), RATE)
    whole = decode(path)
    data = path.read_bytes() + b"LIST" + struct.pack("<I", 8) + b"INFOISFT"
    path.write_bytes(data)
    np.testing.assert_array_equal(decode(path), whole)


def test_channels_that_cancel_leave_the_louder_one(tmp_path):
    path, x = tmp_path / "a.wav", sweep(1)
    soundfile.write(path, np.stack([0.9 * x, -x], 1), RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read_audio(path, RATE), -x)
    np.testing.assert_array_equal(np.concatenate([*stream_audio(path, RATE)]), -x)
    soundfile.write(path, np.stack([x, 0.2 * x], 1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(path, RATE), 0.6 * x, atol=1e-6)


@pytest.mark.parametrize("suffix", ["wav", "flac", "au"])
def test_a_wrong_length_is_corrected_in_constant_memory(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(-9_000, 9_000, 8_000_000).astype(np.int16)
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise, RATE, "PCM_16")
    data = bytearray(path.read_bytes())
    if suffix == "wav":
        data[40:44] = bytes(4)
    elif suffix == "flac":
        data[21] &= 0xF0
        data[22:26] = struct.pack(">I", 1_000)
    else:
        data[8:12] = struct.pack(">I", 1_000)
    path.write_bytes(data)
    tracemalloc.start()
    with open_decoder(path) as file:
        count = sum(len(block) for block in decode_blocks(file))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == len(noise)
    assert peak < 6e6


def test_pcm_of_a_flac_file_without_a_length(tmp_path):
    noise = np.random.default_rng(0).integers(-9_000, 9_000, 5_000).astype(np.int16)
    path = tmp_path / "a.flac"
    soundfile.write(path, noise, RATE, "PCM_16")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert np.array_equal(read_pcm(path, 0, -1), noise)
