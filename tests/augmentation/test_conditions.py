"""Conditions on sounds that reveal delays."""

import numpy as np
import pytest
from scipy import signal
from threadpoolctl import threadpool_limits

from fakesound.augmentation.conditions import CONDITIONS, apply_condition, match_conditions
from fakesound.errors import InputError
from fakesound.timeline import Region

RATE = 16_000
IN_PLACE = [name for name in CONDITIONS if name != "trim"]
CODECS = ("mp3_64", "mp3_32", "opus_24", "opus_12", "gsm")
NARROW = ("gsm", "resample_8k")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits(1):
        yield


def sound(seed=0, seconds=2.0, rate=RATE):
    """Return syllables of a gliding voice over a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitch = rng.uniform(110, 160) * (1 + 0.2 * np.sin(2 * np.pi * 0.7 * time + rng.uniform(0, 6)))
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    voice = sum(np.sin(k * phase + k * k) / k for k in range(1, 30))
    knots = np.arange(0, seconds + 0.1, 0.1)
    level = np.interp(time, knots, rng.choice([0.02, 0.5, 1.0], len(knots)))
    voice_and_noise = 0.08 * voice * level + 0.002 * rng.standard_normal(len(time))
    return voice_and_noise.astype(np.float32)


def apply(name, audio, rate=RATE, regions=(), key="clip"):
    return apply_condition(CONDITIONS[name], audio, rate, regions, key)


def rms(audio):
    return float(np.sqrt(np.mean(np.square(audio, dtype=np.float64))))


def lag(audio, changed):
    """Return the delay of ``changed`` in samples."""
    correlation = signal.correlate(changed, audio, mode="full", method="fft")
    return int(np.argmax(correlation)) - (len(audio) - 1)


def share_above(audio, frequency, rate=RATE):
    frequencies, power = signal.welch(audio, rate, nperseg=1024)
    return power[frequencies > frequency].sum() / power.sum()


def test_the_documented_conditions_exist():
    assert set(CONDITIONS) == {
        "mp3_32", "mp3_64", "opus_12", "opus_24", "gsm", "resample_8k", "noise_20db", "noise_10db",
        "gain_down", "clipping", "trim", "reverb",
    }  # fmt: skip
    assert all(name == condition.name for name, condition in CONDITIONS.items())
    assert len({condition.title for condition in CONDITIONS.values()}) == len(CONDITIONS)


@pytest.mark.parametrize("name", IN_PLACE)
@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100])
def test_conditions_do_not_shift_audio(name, rate):
    for seed in range(3):
        audio = sound(seed, 1.51, rate)
        regions = (Region(0.1, 0.35), Region(1.0, 1.51))
        before = audio.copy()
        changed, moved, duration = apply(name, audio, rate, regions, str(seed))
        assert changed.shape == audio.shape
        assert changed.dtype == np.float32
        # the filters of Opus turn phases by a little, which fine sampling shows
        assert abs(lag(audio, changed)) <= (50e-6 * rate if rate > RATE and "opus" in name else 0)
        assert not np.array_equal(changed, audio) or (name, rate) == ("resample_8k", 8_000)
        assert moved == regions
        assert duration == len(audio) / rate
        assert np.array_equal(audio, before)


@pytest.mark.parametrize("name", CODECS)
def test_codecs_change_the_sound_and_keep_its_level(name):
    audio = sound()
    band = signal.firwin(201, 3500, fs=RATE)
    changed, *_ = apply(name, audio)
    plain, coded = (signal.fftconvolve(part, band, mode="same") for part in (audio, changed))
    assert rms(coded) == pytest.approx(rms(plain), rel=0.25)
    snr = 20 * np.log10(rms(plain) / rms(coded - plain))
    assert 3 < snr < 40


@pytest.mark.parametrize("codec", ["mp3", "opus"])
def test_lower_bit_rates_have_larger_errors(codec):
    audio = sound()
    ids = [name for name in CODECS if name.startswith(codec)]
    less, more = (rms(apply(name, audio)[0] - audio) for name in sorted(ids))
    assert less > 1.2 * more


@pytest.mark.parametrize("name", NARROW)
def test_narrow_bands_end_at_4_khz(name):
    audio = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    assert share_above(audio, 4_400) > 0.4
    changed = apply(name, audio)[0]
    assert share_above(changed, 4_400) < 1e-3
    assert share_above(changed, 3_000) > 0.1


@pytest.mark.parametrize(("name", "snr"), [("noise_20db", 20), ("noise_10db", 10)])
@pytest.mark.parametrize("level", [1.0, 0.01])
def test_noise_is_white_with_the_named_ratio(name, snr, level):
    audio = level * sound()
    noise = apply(name, audio)[0] - audio
    assert 20 * np.log10(rms(audio) / rms(noise)) == pytest.approx(snr, abs=0.2)
    assert share_above(noise, 4_000) == pytest.approx(0.5, abs=0.05)
    assert abs(np.corrcoef(noise, audio)[0, 1]) < 0.05


def test_gain_is_20_db_lower():
    audio = sound()
    assert apply("gain_down", audio)[0] == pytest.approx(audio / 10, abs=1e-7)


def test_clipping_flattens_few_samples_and_no_others():
    audio = sound()
    changed = apply("clipping", audio)[0]
    ceiling = np.abs(changed).max()
    flat = np.abs(audio) > ceiling
    assert 0.01 < flat.mean() < 0.05
    assert np.array_equal(changed[~flat], audio[~flat])
    assert np.array_equal(np.abs(changed[flat]), np.full(flat.sum(), ceiling))


def test_clipping_keeps_a_sound_in_silence():
    audio = np.zeros(RATE, dtype=np.float32)
    audio[8_000:8_010] = np.linspace(-0.5, 0.5, 10)
    changed = apply("clipping", audio)[0]
    assert np.abs(changed).max() == pytest.approx(0.05)


def test_reverberation_decays_by_60_db_in_its_time():
    click = np.zeros(RATE, dtype=np.float32)
    click[100] = 0.9
    room = apply("reverb", click)[0].astype(np.float64)
    assert not room[:99].any() or np.abs(room[:99]).max() < 1e-6
    assert np.argmax(np.abs(room)) == 100
    direct = room[100]
    # backward integration (Schroeder 1965) of the tail
    tail = room[101:] / direct
    energy = np.cumsum(tail[::-1] ** 2)[::-1]
    assert energy[0] == pytest.approx(0.5, rel=0.01)
    decay = 10 * np.log10(energy[[800, 3200]])
    assert (decay[0] - decay[1]) / 2400 * RATE == pytest.approx(60 / 0.4, rel=0.15)


def test_reverberation_keeps_the_level():
    audio = sound()
    changed = apply("reverb", audio)[0]
    assert rms(changed) == pytest.approx(rms(audio), rel=1e-4)
    assert not np.array_equal(changed, apply("reverb", audio, key="other")[0])


@pytest.mark.parametrize("name", CONDITIONS)
def test_draws_depend_only_on_condition_and_clip(name):
    audio, regions = sound(), (Region(0.5, 0.6),)
    changed, moved, duration = apply(name, audio, RATE, regions)
    again = apply(name, audio, RATE, regions)
    assert np.array_equal(changed, again[0])
    assert (moved, duration) == again[1:]


@pytest.mark.parametrize("name", ["noise_20db", "reverb", "trim", "mp3_32"])
def test_draws_differ_between_clips(name):
    audio = sound()
    assert not np.array_equal(apply(name, audio, key="a")[0], apply(name, audio, key="b")[0])


@pytest.mark.parametrize("name", CONDITIONS)
@pytest.mark.parametrize("kind", ["silent", "short", "sample", "silent sample", "loud", "constant"])
def test_odd_audio_is_processed(name, kind):
    audio = {
        "silent": np.zeros(RATE),
        "short": sound(seconds=0.1),
        "sample": np.array([0.3]),
        "silent sample": np.zeros(1),
        "loud": np.sign(sound()),
        "constant": np.full(RATE, 0.5),
    }[kind].astype(np.float32)
    changed, _, duration = apply(name, audio)
    assert changed.dtype == np.float32
    assert 1 <= len(changed) <= len(audio)
    assert (len(changed) == len(audio)) or name == "trim"
    assert duration == len(changed) / RATE
    assert np.isfinite(changed).all()
    assert np.abs(changed).max() <= 1
    if not audio.any():
        assert np.abs(changed).max() < 1e-3


def test_regions_end_with_audio_shorter_than_its_row():
    audio = sound(seconds=0.98)
    assert apply("gain_down", audio, regions=(Region(0.5, 1.0),))[1] == (Region(0.5, 0.98),)


def test_conditions_are_matched_by_glob():
    assert [c.name for c in match_conditions(["opus_*", "gsm", "g*"])] == [
        "opus_24", "opus_12", "gsm", "gain_down",
    ]  # fmt: skip
    assert [c.name for c in match_conditions(["*"])] == list(CONDITIONS)
    assert match_conditions([]) == []


def test_the_error_names_an_unknown_condition_and_all_conditions():
    with pytest.raises(InputError, match="--robustness=mp3_16: no such condition") as caught:
        match_conditions(["gsm", "mp3_16"])
    assert all(name in str(caught.value) for name in CONDITIONS)
