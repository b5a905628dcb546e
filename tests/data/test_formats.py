"""Formats x rates x channels x lengths x damage: samples and lengths of ffmpeg's own decoding."""

import io
import struct
from contextlib import contextmanager

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate

from fakesound.data import containers
from fakesound.data.audio import audio_info, read_audio, stream_audio
from fakesound.data.notes import Notes
from fakesound.errors import InputError
from tests.data.media import decode, encode

LOSSLESS, PERCEPTUAL, OPUS = 1e-4, 1e-4, 2e-3
# suffix, encoder, container, rates; formats without a decoder in libsndfile are marked
NATIVE = [
    ("wav", "pcm_s16le", "wav", (8_000, 44_100)),
    ("wav", "pcm_s24le", "wav", (48_000,)),
    ("wav", "pcm_f32le", "wav", (16_000,)),
    ("wav", "pcm_u8", "wav", (11_025,)),
    ("wav", "pcm_mulaw", "wav", (8_000,)),
    ("w64", "pcm_s16le", "w64", (16_000,)),
    ("aiff", "pcm_s16be", "aiff", (22_050,)),
    ("au", "pcm_s16be", "au", (16_000,)),
    ("caf", "pcm_s16le", "caf", (16_000,)),
    ("flac", "flac", "flac", (16_000, 96_000)),
    ("mp3", "libmp3lame", "mp3", (16_000, 44_100)),
    ("mp2", "mp2", "mp2", (32_000,)),
    ("opus", "libopus", "ogg", (48_000,)),
]
FOREIGN = [
    ("m4a", "aac", "ipod", (16_000, 44_100)),
    ("m4a", "alac", "ipod", (44_100,)),
    ("aac", "aac", "adts", (32_000,)),
    ("mka", "pcm_s16le", "matroska", (16_000,)),
    ("webm", "libopus", "webm", (48_000,)),
    ("wma", "wmav2", "asf", (44_100,)),
    ("ac3", "ac3", "ac3", (48_000,)),
    ("wv", "wavpack", "wv", (16_000,)),
    ("avi", "pcm_s16le", "avi", (16_000,)),
]
# samples of a frame of the codecs that add delay and padding
FRAMES = {"aac": 1024, "libmp3lame": 1152, "mp2": 1152, "wmav2": 2048, "ac3": 1536}
MATRIX = [
    (suffix, codec, container, rate, channels, seconds)
    for suffix, codec, container, rates in NATIVE + FOREIGN
    for rate in rates
    for channels, seconds in ((1, 0.7), (2, 2.3))
]


def sound(seconds, rate, channels=1, seed=0):
    """Return tones and noise in each channel, with a pause, all below full scale."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    tone = 0.3 * np.sin(2 * np.pi * 440 * time * (1 + 0.1 * time)) * (np.sin(9 * time) > -0.6)
    noise = 0.02 * rng.standard_normal((len(time), channels))
    return (tone[:, None] * np.linspace(1, 0.5, channels) + noise).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("formats")


@pytest.mark.parametrize(("suffix", "codec", "container", "rate", "channels", "seconds"), MATRIX)
def test_samples_are_those_of_ffmpeg(folder, suffix, codec, container, rate, channels, seconds):
    path = folder / f"{codec}-{rate}-{channels}.{suffix}"
    encode(path, sound(seconds, rate, channels), rate, codec, container, bit_rate=128_000)
    reference, own = decode(path)
    assert own == rate
    result, reference = read_audio(path, rate), reference.mean(axis=1)
    assert audio_info(path).samples == len(result)
    # to a frame of the codec, since decoders differ in what they drop as delay and padding
    assert abs(len(result) - len(reference)) <= FRAMES.get(codec, 0)
    whole = result
    if container == "adts":
        reference = reference[1024:]
    if container == "asf":
        result = result[2048:]
    common = min(len(result), len(reference))
    difference = result[:common] - np.clip(reference[:common], -1, 1)
    if "opus" in codec:
        assert np.sqrt(np.mean(difference**2)) < OPUS
    else:
        assert np.abs(difference).max() < LOSSLESS
    # in blocks, in windows and at another rate they are the same samples
    np.testing.assert_array_equal(np.concatenate([*stream_audio(path, rate)]), whole)
    np.testing.assert_array_equal(read_audio(path, rate, 3_001, 2_000), whole[3_001:5_001])
    other = read_audio(path, 12_000)
    np.testing.assert_array_equal(read_audio(path, 12_000, 1_234, 999), other[1_234:2_233])


# encoder, container, rate, options of the container, offset and excess length in samples that are
# allowed because the container gives no delay or no padding
TIMED = [
    ("aac", "ipod", 44_100, {}, 0, 0),
    ("aac", "mp4", 16_000, {"movflags": "frag_keyframe+empty_moov+delay_moov"}, 0, 0),
    ("aac", "mp4", 48_000, {"movflags": "frag_keyframe+empty_moov"}, 0, 0),
    ("aac", "mov", 16_000, {"use_editlist": "0"}, 0, 0),
    ("aac", "matroska", 44_100, {}, 0, 1024),
    ("aac", "adts", 16_000, {}, 0, 1024),
    ("aac", "flv", 22_050, {}, 0, 1024),
    ("aac", "mpegts", 48_000, {}, 0, 1024),
    ("aac", "latm", 44_100, {}, 0, 1024),
    ("wmav1", "asf", 16_000, {}, 0, 512),
    ("wmav2", "asf", 44_100, {}, 0, 2048),
    ("alac", "caf", 44_100, {}, 0, 0),
    ("alac", "ipod", 44_100, {}, 0, 0),
    ("libopus", "webm", 48_000, {}, 0, 0),
    ("libopus", "mp4", 48_000, {}, 0, 0),
    ("libmp3lame", "mp3", 16_000, {}, 0, 0),
    ("libmp3lame", "mp3", 44_100, {"write_xing": "0"}, 600, 2304),
    ("libmp3lame", "mp4", 44_100, {}, 0, 1152),
    ("libmp3lame", "avi", 44_100, {}, 0, 1152),
    ("libmp3lame", "flv", 22_050, {}, 529, 1152),
    ("mp2", "mp2", 44_100, {}, 500, 1152),
    ("ac3", "matroska", 48_000, {}, 0, 1536),
]


@pytest.mark.parametrize(("codec", "container", "rate", "muxer", "late", "longer"), TIMED)
def test_times_are_those_of_the_source(tmp_path, codec, container, rate, muxer, late, longer):
    clicks = 1e-3 * sound(1.7, rate, seed=1)[:, 0]
    for second in (0.02, 0.3, 0.9, 1.65):
        burst = np.random.default_rng(0).normal(0, 0.2, rate // 200)
        clicks[round(second * rate) :][: len(burst)] += burst
    path = encode(tmp_path / "a.aac", clicks, rate, codec, container, 128_000, muxer=muxer)
    result = read_audio(path, rate)
    correlation = correlate(result, clicks, method="fft")
    # the first frame of MP3 is 47 samples longer than the delay of LAME
    assert -50 <= int(correlation.argmax()) - (len(clicks) - 1) <= late
    assert 0 <= len(result) - len(clicks) <= longer


def test_containers_that_end_early_are_noted(tmp_path):
    for container, codec in (("ipod", "aac"), ("matroska", "aac"), ("wv", "wavpack")):
        path, muxer = tmp_path / f"a.{container}", {}
        if container == "ipod":
            muxer = {"movflags": "faststart"}  # its index is before the audio
        encode(path, sound(4, 44_100), 44_100, codec, container, muxer=muxer)
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
        audio, keywords = read_with_notes(path, 44_100)
        assert 1.5 < len(audio) / 44_100 < 2.7
        assert keywords == {"header", "codec"}


@contextmanager
def suppress_refusal(path):
    """Allow an error in one line that names ``path``, and no other."""
    try:
        yield
    except InputError as error:
        if str(path) not in str(error) or len(str(error).splitlines()) != 1:
            raise AssertionError(f"not one line that names the file: {error}") from error


@pytest.mark.parametrize(("suffix", "codec", "container", "rates"), NATIVE + FOREIGN)
def test_damaged_files_are_read_or_refused_in_one_line(tmp_path, suffix, codec, container, rates):
    path = encode(tmp_path / f"a.{suffix}", sound(1, rates[0]), rates[0], codec, container, 128_000)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for kind in ("half", "head", "holes", "tail"):
        data = bytearray(whole)
        if kind == "half":
            data = data[: len(data) // 2]
        elif kind == "head":
            data = data[len(data) // 3 :]
        elif kind == "tail":
            data += b"\0" * 999
        else:
            for place in rng.integers(200, len(data), 20):
                data[place] ^= 0xFF
        path.write_bytes(data)
        with suppress_refusal(path):
            result = read_audio(path, 16_000)
            assert np.isfinite(result).all()
            np.testing.assert_array_equal(np.concatenate([*stream_audio(path, 16_000)]), result)


@given(
    rate=st.sampled_from([8_000, 11_025, 22_050, 44_100, 48_000]),
    start=st.integers(0, 40_000),
    count=st.integers(1, 20_000),
)
@settings(max_examples=25, deadline=None)
def test_any_window_at_any_rate_is_part_of_the_whole(folder, rate, start, count):
    path = folder / "window.flac"
    if not path.exists():
        soundfile.write(path, sound(3, 16_000), 16_000)
    whole = read_audio(path, rate)
    np.testing.assert_array_equal(
        read_audio(path, rate, start, count), whole[start : start + count]
    )


def read_with_notes(path, rate=16_000):
    notes = Notes()
    audio = np.concatenate([*stream_audio(path, rate, notes)])
    return audio, {text.split(":")[0] for text in notes.texts()}


def test_notes_name_what_matters_for_a_result(tmp_path):
    x = sound(1, 16_000)
    cases = {
        "plain": (x, "PCM_16", 16_000, set()),
        "resampled": (x, "PCM_16", 8_000, {"rate"}),
        "silent": (np.zeros(16_000), "PCM_16", 16_000, {"silence"}),
        "quiet": (1e-3 * x, "PCM_24", 16_000, {"level"}),
        "clipped": (9 * x, "PCM_16", 16_000, {"clipping"}),
        "beyond": (4 * x, "FLOAT", 16_000, {"clipping"}),
        "antiphase": (np.concatenate([x, -x], 1), "PCM_16", 16_000, {"channels"}),
    }
    for name, (samples, subtype, rate, keywords) in cases.items():
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, np.clip(samples, -1, 1) if subtype != "FLOAT" else samples, rate,
                        subtype=subtype)  # fmt: skip
        assert read_with_notes(path)[1] == keywords, name
    soundfile.write(tmp_path / "a.ogg", x, 16_000)
    assert read_with_notes(tmp_path / "a.ogg")[1] == {"codec"}


def test_a_header_that_differs_from_the_content_is_noted(tmp_path):
    x, path = sound(2, 16_000), tmp_path / "a.wav"
    soundfile.write(path, x, 16_000)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    for declared in (0, 8_000, 0xFFFF_FFFF):
        data[at : at + 4] = struct.pack("<I", declared)
        path.write_bytes(data)
        audio, keywords = read_with_notes(path)
        assert (len(audio), keywords) == (32_000, {"header"}), declared
    one = encode(tmp_path / "one.mp3", sound(2, 44_100), 44_100, "libmp3lame").read_bytes()
    (tmp_path / "two.mp3").write_bytes(2 * one)
    audio, keywords = read_with_notes(tmp_path / "two.mp3", 44_100)
    assert len(audio) / 44_100 == pytest.approx(4, abs=0.1)
    assert keywords == {"header", "codec"}
    (tmp_path / "cut.mp3").write_bytes(one[:-3_000])
    with pytest.raises(InputError, match=r"truncated at 1\.\d\d of 2\.\d\d s"):
        read_audio(tmp_path / "cut.mp3", 16_000)
    # cut out of a stream, without its first frames
    (tmp_path / "cut.mp3").write_bytes(one[3_000:])
    audio, keywords = read_with_notes(tmp_path / "cut.mp3", 44_100)
    assert 1.5 < len(audio) / 44_100 < 2
    assert keywords == {"header", "codec"}
    # also inside its last frame
    (tmp_path / "cut.mp3").write_bytes(one[3_000:-3_000])
    assert read_with_notes(tmp_path / "cut.mp3", 44_100)[1] == {"header", "codec"}


def test_quiet_audio_of_24_bits_keeps_its_resolution(tmp_path):
    x = 1e-3 * sound(1, 16_000)[:, 0]
    soundfile.write(tmp_path / "a.wav", x, 16_000, subtype="PCM_24")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav", 16_000), x, atol=2**-23)


@pytest.mark.parametrize("codec", ["GSM610", "MS_ADPCM", "IMA_ADPCM"])
def test_codecs_that_cannot_seek_are_read_in_windows(tmp_path, codec):
    path = tmp_path / "a.wav"
    soundfile.write(path, sound(25, 8_000), 8_000, subtype=codec)
    whole = read_audio(path, 16_000)
    assert len(whole) / 16_000 == pytest.approx(25, abs=0.1)
    window = read_audio(path, 16_000, 160_000, 160_000)
    np.testing.assert_array_equal(window, whole[160_000:320_000])


def test_without_a_decoder_the_error_names_the_command(tmp_path, monkeypatch):
    path = encode(tmp_path / "a b.m4a", sound(1, 16_000), 16_000, "aac", "ipod")
    monkeypatch.setattr(containers, "find_spec", lambda name: None)
    monkeypatch.setattr(containers.shutil, "which", lambda name: None)
    with pytest.raises(InputError, match=r"ffmpeg -i '.*a b.m4a' 'a b.wav'") as error:
        read_audio(path, 16_000)
    assert "pip install" in str(error.value)


def test_files_that_are_no_audio_have_their_reason(tmp_path):
    (tmp_path / "link.wav").symlink_to(tmp_path / "nowhere.wav")
    (tmp_path / "a.raw").write_bytes(bytes(3_200))
    (tmp_path / "text.m4a").write_text("no audio at all, but called so" * 9)
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "scale.wav").write_bytes(b"")
    soundfile.write(tmp_path / "scale.wav", 30_000 * sound(1, 16_000), 16_000, subtype="FLOAT")
    for name, reason in (
        ("link.wav", "links to a file"),
        ("a.raw", "without a header"),
        ("text.m4a", "cannot be read as audio"),
        ("folder.wav", "is a folder"),
        ("scale.wav", "not -1 to 1"),
        ("none.wav", "no such file"),
    ):
        with pytest.raises(InputError, match=reason) as error:
            read_audio(tmp_path / name, 16_000)
        assert str(tmp_path / name) in str(error.value)


def patched(data, mark, offset, value):
    """Return ``data`` with ``value`` at ``offset`` from ``mark``."""
    at = data.index(mark) + offset
    return data[:at] + value + data[at + len(value) :]


def encoded(container, subtype, samples):
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, subtype, format=container)
    return file.getvalue()


UNTRUE = {
    "FLAC that is too short": ("FLAC", "PCM_24", b"fLaC", 22, b"\0\0\x9c\x40"),
    "FLAC to a pipe": ("FLAC", "PCM_16", b"fLaC", 22, bytes(4)),
    "AU to a pipe": ("AU", "PCM_16", b".snd", 8, b"\xff" * 4),
    "AU without a length": ("AU", "PCM_16", b".snd", 8, bytes(4)),
    "AU that is too short": ("AU", "PCM_16", b".snd", 8, b"\0\0\x1f\x40"),
    "AIFF without a count": ("AIFF", "PCM_16", b"COMM", 10, bytes(4)),
    "RF64 without a length": ("RF64", "PCM_24", b"ds64", 16, bytes(16)),
    "RF64 that is too short": ("RF64", "PCM_24", b"ds64", 16, struct.pack("<Q", 6_000)),
    "WAV to a pipe": ("WAV", "PCM_16", b"data", 4, b"\xff" * 4),
    "WAV of an unknown length": ("WAV", "PCM_16", b"data", 4, struct.pack("<I", 0x7FFF_FFFF)),
    "WAV that is too short": ("WAV", "PCM_24", b"data", 4, struct.pack("<I", 1_000)),
    "floats without a length": ("WAV", "FLOAT", b"data", 4, bytes(4)),
    "bytes without a length": ("WAV", "PCM_U8", b"data", 4, bytes(4)),
    "GSM without a length": ("WAV", "GSM610", b"data", 4, bytes(4)),
    "ADPCM that is too short": ("WAV", "MS_ADPCM", b"data", 4, struct.pack("<I", 2_048)),
}


@pytest.mark.parametrize("name", UNTRUE)
def test_wrong_lengths_hide_no_audio(tmp_path, name):
    container, subtype, mark, offset, value = UNTRUE[name]
    data, path = encoded(container, subtype, sound(3, 16_000)), tmp_path / "a"
    path.write_bytes(data)
    whole = read_audio(path, 16_000)
    path.write_bytes(patched(data, mark, offset, value))
    result, _ = read_with_notes(path)
    # a codec of blocks fills its last one
    np.testing.assert_array_equal(result[: len(whole)], whole)
    assert len(result) - len(whole) < 1_024
    assert audio_info(path).samples == len(result)
    np.testing.assert_array_equal(read_audio(path, 16_000, 9_000, 500), whole[9_000:9_500])


@pytest.mark.parametrize("container", ["WAV", "RF64", "FLAC", "AU", "AIFF", "CAF", "W64", "OGG"])
def test_a_header_that_is_cut_is_refused_in_one_line(tmp_path, container):
    data = encoded(container, "VORBIS" if container == "OGG" else "PCM_16", sound(0.1, 16_000))
    for size in range(1, 60):
        (tmp_path / "a").write_bytes(data[:size])
        with suppress_refusal(tmp_path / "a"):
            read_audio(tmp_path / "a", 16_000)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_ogg_streams_in_a_row_are_one_recording(tmp_path, subtype):
    first, second = sound(1, 16_000), 0.5 * sound(2, 16_000, seed=1)
    parts = [encoded("OGG", subtype, one) for one in (first, second)]
    wanted = []
    for part in parts:
        (tmp_path / "one.ogg").write_bytes(part)
        wanted.append(read_audio(tmp_path / "one.ogg", 16_000))
    (tmp_path / "two.ogg").write_bytes(b"".join(parts))
    result, keywords = read_with_notes(tmp_path / "two.ogg")
    np.testing.assert_array_equal(result, np.concatenate(wanted))
    assert keywords == {"codec"}
    (tmp_path / "cut.ogg").write_bytes(parts[1][: len(parts[1]) * 2 // 3])
    assert read_with_notes(tmp_path / "cut.ogg")[1] == {"codec", "header"}


def test_text_called_mp3_is_refused_quietly(tmp_path, capfd):
    path = tmp_path / "a.mp3"
    path.write_text("hello\n" * 99)
    with pytest.raises(InputError, match="not recognised"):
        read_audio(path, 16_000)
    assert capfd.readouterr().err == ""


def test_a_full_temporary_folder_is_not_the_fault_of_the_recording(tmp_path, monkeypatch):
    path = encode(tmp_path / "a.m4a", sound(0.5, 16_000), 16_000, "aac", "ipod")

    def full(*_):
        raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile.SoundFile, "write", full)
    with pytest.raises(InputError, match="TMPDIR"):
        read_audio(path, 16_000)


def test_only_the_first_of_several_tracks_is_read_and_this_is_noted(tmp_path):
    first, second = (sound(1, 16_000, seed=seed)[:, 0] for seed in (1, 2))
    path = tmp_path / "two.mka"
    with av.open(str(path), "w") as file:
        streams = [file.add_stream("pcm_f32le", rate=16_000, layout="mono") for _ in range(2)]
        for stream, samples in zip(streams, (first, second), strict=True):
            frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 0
            file.mux([*stream.encode(frame), *stream.encode(None)])
    audio, keywords = read_with_notes(path)
    assert keywords == {"codec", "tracks"}
    np.testing.assert_array_equal(audio, first)


def test_the_gain_in_an_opus_header_is_applied(tmp_path):
    """RFC 7845, 5.1: decoders scale their output by it."""
    path = tmp_path / "a.opus"
    soundfile.write(path, 0.3 * sound(1, 48_000), 48_000, format="OGG", subtype="OPUS")
    plain = read_audio(path, 48_000)
    data = bytearray(path.read_bytes())
    struct.pack_into("<h", data, data.index(b"OpusHead") + 16, 6 * 256)  # dB in 1/256
    page = data[: 27 + data[26] + sum(data[27 : 27 + data[26]])]
    struct.pack_into("<I", page, 22, 0)
    struct.pack_into("<I", data, 22, ogg_checksum(page))
    path.write_bytes(data)
    louder = read_audio(path, 48_000)
    assert np.std(louder) / np.std(plain) == pytest.approx(10 ** (6 / 20), rel=1e-3)
    assert np.std(louder) == pytest.approx(np.std(decode(path)[0]), rel=1e-3)


def ogg_checksum(page):
    """Return the CRC-32 of an Ogg page whose own checksum is 0 (RFC 3533)."""
    register = 0
    for byte in page:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1 ^ (0x04C11DB7 if register >> 31 else 0)) & 0xFFFFFFFF
    return register
