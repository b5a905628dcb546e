"""MP3 and MP2 files that are joined, tagged or cut, or change their format; tags elsewhere."""

import io
import os

import numpy as np
import pytest
import soundfile

from fakesound.data import mp3
from fakesound.data.audio import audio_info, read_audio, stream_audio
from fakesound.data.notes import Notes
from fakesound.errors import InputError
from tests.data.media import decode, encode
from tests.data.test_formats import sound

RATE = 44_100
APE, ID3V1 = b"APETAGEX" + bytes(20_000), b"TAG" + bytes(125)


def id3(size):
    """Return an ID3v2 tag with ``size`` bytes after its header."""
    return b"ID3\x04\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(size)


def mp2(folder, seconds, bit_rate):
    samples = sound(seconds, RATE)
    return encode(folder / "part", samples, RATE, "mp2", "mp2", bit_rate).read_bytes()


def lame(folder, seconds, channels=1, rate=RATE, **muxer):
    samples = sound(seconds, rate, channels)
    return encode(
        folder / "part", samples, rate, "libmp3lame", "mp3", 128_000, muxer=muxer
    ).read_bytes()


@pytest.mark.parametrize("rates", [(384_000, 64_000), (64_000, 384_000), (128_000, 128_000)])
def test_mp2_of_several_bit_rates_is_whole(tmp_path, rates):
    path = tmp_path / "a.mp2"
    path.write_bytes(b"".join(mp2(tmp_path, 1.5, rate) for rate in rates))
    result = read_audio(path, RATE)
    assert len(result) / RATE == pytest.approx(3, abs=0.1)
    assert audio_info(path).samples == len(result)
    reference = decode(path)[0].mean(axis=1)
    common = min(len(result), len(reference))
    np.testing.assert_allclose(result[:common], reference[:common], atol=1e-4)


@pytest.mark.parametrize("tag", [ID3V1, APE, APE + ID3V1])
def test_tags_at_the_end_are_no_audio(tmp_path, tag, capfd):
    flac = io.BytesIO()
    soundfile.write(flac, sound(1, RATE), RATE, format="FLAC")
    parts = {
        "a.mp2": mp2(tmp_path, 1, 64_000),
        "a.mp3": lame(tmp_path, 1),
        "a.flac": flac.getvalue(),
    }
    for name, data in parts.items():
        (tmp_path / name).write_bytes(data)
        whole = read_audio(tmp_path / name, RATE)
        (tmp_path / name).write_bytes(data + tag)
        np.testing.assert_array_equal(read_audio(tmp_path / name, RATE), whole)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("container", ["WAV", "AIFF", "FLAC", "OGG", "RF64"])
@pytest.mark.parametrize("size", [101, 300_000])
def test_a_tag_before_another_format_is_no_audio(tmp_path, container, size):
    file = io.BytesIO()
    soundfile.write(file, sound(1, RATE), RATE, format=container)
    (tmp_path / "a").write_bytes(file.getvalue())
    whole = read_audio(tmp_path / "a", RATE)
    (tmp_path / "a").write_bytes(id3(size) + file.getvalue())
    np.testing.assert_array_equal(read_audio(tmp_path / "a", RATE), whole)
    np.testing.assert_array_equal(read_audio(tmp_path / "a", RATE, 9_000, 500), whole[9_000:9_500])


@pytest.mark.parametrize("channels", [(1, 2), (2, 1)])
def test_mp3_that_changes_between_mono_and_stereo_is_whole(tmp_path, channels):
    parts = [lame(tmp_path, 1.5, count) for count in channels]
    (tmp_path / "a.mp3").write_bytes(b"".join(parts))
    result = read_audio(tmp_path / "a.mp3", RATE)
    assert len(result) / RATE == pytest.approx(3, abs=0.15)
    assert np.abs(result[2 * RATE :]).max() > 0.1
    np.testing.assert_array_equal(np.concatenate([*stream_audio(tmp_path / "a.mp3", RATE)]), result)


def test_mp3_that_changes_its_rate_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.mp3").write_bytes(lame(tmp_path, 1) + lame(tmp_path, 1, rate=22_050))
    with pytest.raises(InputError, match=r"a\.mp3: changes its sample rate; cut it into parts"):
        read_audio(tmp_path / "a.mp3", RATE)


def test_the_delay_of_lame_is_kept_when_the_length_is_corrected(tmp_path):
    data = lame(tmp_path, 2)
    (tmp_path / "one.mp3").write_bytes(data)
    (tmp_path / "two.mp3").write_bytes(2 * data)
    one, two = (read_audio(tmp_path / name, RATE) for name in ("one.mp3", "two.mp3"))
    np.testing.assert_allclose(two[: len(one) - 1_200], one[:-1_200], atol=1e-4)
    # the second file keeps delay and padding, which are within it
    assert 0 <= len(two) - 2 * len(one) <= 3 * 1_152


def test_bytes_cut_out_of_mp3_need_no_name(tmp_path):
    data = lame(tmp_path, 2)[1_001:]
    (tmp_path / "a.mp3").write_bytes(data)
    whole = read_audio(tmp_path / "a.mp3", RATE)
    for name in ("recording", "a.wav"):
        parts = [*stream_audio(name, RATE, Notes(), content=data)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert not mp3.is_mp3_stream(b"no audio at all " * 999)


def test_rates_of_one_bit_recorders_are_read(tmp_path):
    soundfile.write(tmp_path / "a.wav", sound(0.2, 705_600), 705_600)
    assert len(read_audio(tmp_path / "a.wav", 16_000)) == 3_200


def test_a_pipe_in_a_folder_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "a.wav")
    with pytest.raises(InputError, match="is a pipe"):
        read_audio(tmp_path / "a.wav", RATE)


def test_a_tag_without_audio_is_refused(tmp_path):
    (tmp_path / "a.mp3").write_bytes(id3(500))
    with pytest.raises(InputError, match=r"a\.mp3: cannot be read as audio \((no audio|Format)"):
        read_audio(tmp_path / "a.mp3", RATE)
