"""Properties of single attacks on sounds with a known result."""

import numpy as np
import pytest

from fakesound.attacks import codec, edit, inpainting, separation, vocoder
from fakesound.attacks.spectral import Stft

RATE = 16_000
TIME = np.arange(RATE) / RATE


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def tone(*frequencies, phase=0.3):
    waves = [np.sin(2 * np.pi * f * TIME + phase * i) for i, f in enumerate(frequencies)]
    return (0.1 * np.sum(waves, axis=0)).astype(np.float32)


def pitch_of(audio):
    """Frequency of the strongest partial, to a fraction of a bin."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 8 * len(audio)))
    return np.argmax(spectrum) * RATE / (8 * len(audio))


def error_of(output, wanted):
    return 10 * np.log10(np.sum((output - wanted) ** 2) / np.sum(wanted**2))


@pytest.mark.parametrize("attack", [inpainting.janssen, inpainting.extrapolation])
def test_prediction_continues_steady_tones_through_a_gap(attack, rng):
    sound = tone(313, 700, 1234)
    gap = slice(8_000, 8_640)
    noisy = sound + rng.normal(0, 1e-4, RATE).astype(np.float32)
    assert error_of(attack(noisy, RATE, [gap], rng)[gap], sound[gap]) < -15


def test_the_nearest_patch_is_a_copy_from_elsewhere(rng, make_sound):
    sound, gap = make_sound(4), slice(6_000, 7_000)
    filled = inpainting.nearest_patch(sound, RATE, [gap], rng)[gap]
    windows = np.lib.stride_tricks.sliding_window_view(sound, 1_000)
    (places,) = np.nonzero((windows == filled).all(1))
    assert len(places)
    assert all(place + 1_000 <= gap.start or place >= gap.stop for place in places)


@pytest.mark.parametrize(
    "attack", [inpainting.spectral_interpolation, inpainting.context_noise, inpainting.nmf]
)
def test_spectral_filling_keeps_level_and_colour(attack, rng):
    low = np.convolve(rng.normal(0, 0.1, RATE + 31), np.hanning(32), "valid").astype(np.float32)
    gap = slice(6_000, 9_000)
    output = attack(low, RATE, [gap], rng)[gap]
    assert abs(20 * np.log10(np.std(output) / np.std(low[gap]))) < 4
    power = np.abs(np.fft.rfft(output)) ** 2
    assert power[: len(power) // 4].sum() > 0.95 * power.sum()


def test_splice_returns_the_donor_alone(rng, make_sound):
    donor = make_sound(8, 0.4)
    output = edit.splice(make_sound(1), RATE, rng, donor)
    (start,) = [
        s for s in range(len(donor)) if np.array_equal(np.roll(donor, -s)[:99], output[:99])
    ]
    assert np.array_equal(output, np.resize(np.roll(donor, -start), RATE))


def test_copy_move_only_moves(rng, make_sound):
    sound = make_sound(1)
    output = edit.copy_move(sound, RATE, rng)
    shifts = [
        s
        for s in range(RATE)
        if output[0] == sound[-s] and np.array_equal(output, np.roll(sound, s))
    ]
    assert shifts
    assert 0.19 * RATE < shifts[0] < 0.81 * RATE


@pytest.mark.parametrize("seed", range(5))
def test_addition_mixes_at_the_documented_ratio(seed, make_sound):
    sound, donor = make_sound(1), make_sound(8, 0.4)
    added = edit.addition(sound, RATE, np.random.default_rng(seed), donor) - sound
    ratio = 10 * np.log10(np.mean(sound**2) / np.mean(added**2))
    assert -5.1 < ratio < 10.1


@pytest.mark.parametrize("seed", range(5))
def test_pitch_shift_moves_a_tone_by_half_to_four_semitones(seed):
    output = edit.pitch_shift(tone(440), RATE, np.random.default_rng(seed))
    semitones = 12 * np.log2(pitch_of(output[2_000:-2_000]) / 440)
    assert 0.4 < abs(semitones) < 4.1


@pytest.mark.parametrize("seed", range(5))
def test_time_stretch_keeps_the_pitch_and_changes_the_tempo(seed):
    output = edit.time_stretch(tone(440), RATE, np.random.default_rng(seed))
    assert pitch_of(output[2_000:10_000]) == pytest.approx(440, rel=0.01)
    clicks = np.zeros(RATE, dtype=np.float32)
    clicks[2_000::2_000] = 0.9
    moved = edit.time_stretch(clicks, RATE, np.random.default_rng(seed))
    places = np.flatnonzero(moved > 0.3)
    factor = np.median(np.diff(places)[np.diff(places) > 500]) / 2_000
    assert 1.05 < max(factor, 1 / factor) < 1.42


@pytest.mark.parametrize(
    "attack", [vocoder.griffin_lim_resynthesis, vocoder.quantised_phase, vocoder.sinusoidal]
)
def test_phase_attacks_keep_the_magnitudes(attack, rng, make_sound):
    sound = make_sound(2)
    before, after = (np.abs(Stft().forward(x)) for x in (sound, attack(sound, RATE, rng)))
    assert np.linalg.norm(after - before) < 0.5 * np.linalg.norm(before)


@pytest.mark.parametrize("attack", [vocoder.world, vocoder.linear_prediction])
def test_parametric_vocoders_keep_the_pitch(attack, rng):
    voice = tone(*range(120, 3_000, 120))
    output = attack(voice, RATE, rng)
    lags = np.arange(RATE // 400, RATE // 60)
    middle = output[4_000:12_000].astype(float)
    alike = [np.dot(middle[:-lag], middle[lag:]) for lag in lags]
    assert RATE / lags[np.argmax(alike)] == pytest.approx(120, rel=0.03)


def test_linear_prediction_is_stable_for_pure_tones():
    for seed in range(4):
        for sound in (tone(509), tone(60), np.full(RATE, 0.1, np.float32)):
            output = vocoder.linear_prediction(sound, RATE, np.random.default_rng(seed))
            assert np.std(output) < 2.5 * np.sqrt(np.mean(sound**2))


@pytest.mark.parametrize("seed", range(4))
def test_separation_only_attenuates(seed, make_sound):
    sound = make_sound(seed)
    for attack in (separation.harmonic_percussive, separation.spectral_gate):
        output = attack(sound, RATE, np.random.default_rng(seed))
        assert np.sum(output**2) < np.sum(sound**2)


def test_the_gate_quietens_the_background(rng):
    noise = rng.normal(0, 0.01, RATE).astype(np.float32)
    sound = noise + np.where((TIME > 0.4) & (TIME < 0.6), tone(500, 900), 0).astype(np.float32)
    output = separation.spectral_gate(sound, RATE, rng)
    quiet, loud = slice(2_000, 5_000), slice(6_800, 9_200)
    assert np.std(output[quiet]) < 0.7 * np.std(sound[quiet])
    assert np.std(output[loud]) > 0.9 * np.std(sound[loud])


def test_codec2_does_not_change_the_band_above(rng):
    sound = tone(6_000) + tone(300)
    output = codec.codec2(sound, RATE, rng)
    bands = [np.fft.rfft(x * np.hanning(RATE)) for x in (sound, output)]
    high = slice(5_000, 7_000)
    difference = np.linalg.norm((bands[1] - bands[0])[high])
    assert difference < 0.01 * np.linalg.norm(bands[0][high])


@pytest.mark.parametrize("size_hop", [(512, 128), (1024, 256), (882, 441), (64, 32)])
@pytest.mark.parametrize("length", [1, 40, 5_000])
def test_the_transform_is_inverted_exactly(size_hop, length, rng):
    stft = Stft(*size_hop)
    audio = rng.normal(0, 0.2, length).astype(np.float32)
    spectrum = stft.forward(audio)
    assert len(spectrum) == stft.frames(length)
    assert stft.inverse(spectrum, length) == pytest.approx(audio, abs=1e-6)


def test_a_hop_must_divide_its_window():
    for hop in (100, 512):
        with pytest.raises(ValueError, match="must divide"):
            Stft(512, hop)
