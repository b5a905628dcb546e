import numpy as np
import pytest
import soundfile

from fakesound.data import audio as module
from fakesound.data.audio import audio_info, read_audio, read_pcm, stream_audio, write_wav
from fakesound.data.samples import from_pcm, to_pcm
from fakesound.errors import InputError

RATE = 16_000


def tone(seconds=1.0, rate=RATE, frequency=440):
    return (0.4 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


@pytest.fixture
def save(tmp_path):
    def save(audio, name="a.wav", rate=RATE, **options):
        soundfile.write(tmp_path / name, audio, rate, **options)
        return tmp_path / name

    return save


def test_mono_at_its_own_rate_is_read_as_it_is(save):
    path = save(tone(), subtype="FLOAT")
    assert np.array_equal(read_audio(path, RATE), tone())
    assert np.array_equal(read_audio(path, RATE, 100, 50), tone()[100:150])
    assert np.array_equal(read_audio(path, RATE, 15_900), tone()[15_900:])
    assert len(read_audio(path, RATE, 15_900, 500)) == 100
    assert read_audio(path, RATE).dtype == np.float32


def test_channels_are_averaged(save):
    left, right = tone(), tone(frequency=900)
    path = save(np.stack((left, right), axis=1), subtype="FLOAT")
    assert read_audio(path, RATE) == pytest.approx((left + right) / 2, abs=1e-6)
    assert (audio_info(path).channels, audio_info(path).duration) == (2, 1.0)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_other_rates_sound_the_same(save, rate):
    audio = read_audio(save(tone(rate=rate), rate=rate, subtype="FLOAT"), RATE)
    assert abs(len(audio) - RATE) <= 1
    middle = slice(1_000, 15_000)
    assert audio[middle] == pytest.approx(tone()[middle], abs=3e-3)


def test_windows_count_at_the_requested_rate(save):
    path = save(tone(rate=48_000), rate=48_000, subtype="FLOAT")
    part = read_audio(path, RATE, 4_000, 2_000)
    assert len(part) == 2_000
    assert part[200:-200] == pytest.approx(tone()[4_200:5_800], abs=3e-3)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.mp3", "a.aiff", "a.au", "a.caf", "a.w64"])
def test_all_formats_give_the_same_samples(save, name):
    audio = read_audio(save(tone(), name), RATE)
    assert abs(len(audio) - RATE) <= 2_000
    middle = slice(4_000, 12_000)
    assert np.corrcoef(audio[middle], tone()[middle])[0, 1] > 0.99


def refuse(path, reason):
    for read in (read_audio, lambda *given: list(stream_audio(*given))):
        with pytest.raises(InputError, match=reason) as caught:
            read(path, RATE)
        message = str(caught.value)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message


def test_files_that_hold_no_audio(tmp_path, save):
    refuse(tmp_path / "none.wav", "no such file")
    refuse(tmp_path, "is a folder")
    (tmp_path / "empty.wav").touch()
    refuse(tmp_path / "empty.wav", "is empty")
    (tmp_path / "text.wav").write_text("this is no audio" * 100)
    refuse(tmp_path / "text.wav", "cannot be read as audio")
    refuse(save(np.zeros(0), "header.wav"), "holds no samples")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_are_refused(save, value):
    audio = tone()
    audio[777] = value
    refuse(save(audio, subtype="FLOAT"), "NaN or Inf")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.aiff", "a.au", "a.caf"])
def test_truncated_files(save, name, share):
    rng = np.random.default_rng(0)
    path = save(tone(2) + rng.normal(0, 0.1, 2 * RATE).astype(np.float32), name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refuse(path, "truncated|decoded|no samples|malformed|read as audio")


def test_the_error_of_a_truncated_file_names_its_end(save):
    path = save(tone(2))
    path.write_bytes(path.read_bytes()[: 44 + 2 * 8_000])
    refuse(path, "is truncated at 0.50 of 2.00 s")
    assert len(read_audio(path, RATE, 0, 8_000)) == 8_000


def test_one_sample_is_audio(save):
    assert read_audio(save(np.array([0.25])), RATE).tolist() == [0.25]


def test_pcm_is_written_and_read_exactly(tmp_path):
    pcm = np.random.default_rng(0).integers(-32_768, 32_768, 5_000).astype(np.int16)
    path = tmp_path / "deep" / "a.wav"
    write_wav(path, pcm, RATE)
    assert np.array_equal(read_pcm(path, 0, -1), pcm)
    assert np.array_equal(read_pcm(path, 1_000, 3_000), pcm[1_000:4_000])
    assert np.array_equal(to_pcm(read_audio(path, RATE)), pcm)
    assert np.array_equal(to_pcm(from_pcm(pcm)), pcm)
    assert [entry.name for entry in path.parent.iterdir()] == ["a.wav"]


def test_pcm_is_rounded_and_clipped():
    audio = np.array([-2, -1, -0.4 / 32_768, 0.6 / 32_768, 1, 2], dtype=np.float32)
    assert to_pcm(audio).tolist() == [-32_768, -32_768, 0, 1, 32_767, 32_767]


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE", "PCM_24", "PCM_32"])
def test_pcm_of_other_wav_files_is_converted(save, subtype):
    path = save(tone(), subtype=subtype)
    assert np.abs(read_pcm(path, 200, 900) - to_pcm(tone())[200:1_100]).max() <= 1
    stereo = save(np.stack((tone(), tone()), axis=1), "stereo.wav", subtype=subtype)
    assert np.abs(read_pcm(stereo, 200, 900) - to_pcm(tone())[200:1_100]).max() <= 1


def test_pcm_may_be_missing_for_a_rounding_of_the_duration_and_no_more(save):
    path = save(tone())
    audio = read_pcm(path, 100, RATE)
    assert len(audio) == RATE
    assert not audio[-100:].any()
    with pytest.raises(InputError, match="shorter than expected"):
        read_pcm(path, 500, RATE)
    with pytest.raises(InputError, match=r"a\.wav"):
        read_pcm(path, 20_000, 100)
    with pytest.raises(InputError, match=r"lost\.wav"):
        read_pcm(path.with_name("lost.wav"), 0, 100)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    write_wav(path, np.ones(10, np.int16), RATE)
    before = path.read_bytes()

    def fail(temporary, *rest, **options):
        temporary.write(b"RIFF")
        raise OSError("disk full")

    monkeypatch.setattr(module.soundfile, "write", fail)
    with pytest.raises(OSError, match="disk full"):
        write_wav(path, np.zeros(10, np.int16), RATE)
    assert path.read_bytes() == before
