"""Properties of every attack."""

from functools import cache

import numpy as np
import pytest
from scipy import signal

from fakesound.attacks import ATTACKS
from fakesound.errors import InputError

RATE = 16_000
GAPS = (slice(2_400, 3_041), slice(8_000, 8_800))
SHORTEST = RATE * 40 // 1000
GAP_ATTACKS = [name for name, attack in ATTACKS.items() if attack.fills_gaps]
# these keep the time course of what they remake
ALIGNED = [
    name
    for name, attack in ATTACKS.items()
    if attack.family in ("vocoder", "codec", "separation") or name == "edit/pitch_shift"
]


def installed(name):
    try:
        return ATTACKS[name].check is None or bool(ATTACKS[name].check())
    except InputError:
        return False


def each(names):
    """Return ``names`` as parameters; attacks that are not installed are skipped."""
    missing = {
        name: [] if installed(name) else [pytest.mark.skip("not installed")] for name in names
    }
    return pytest.mark.parametrize(
        "name", [pytest.param(name, marks=marks) for name, marks in missing.items()]
    )


everyone = each(ATTACKS)
gap_attacks = each(GAP_ATTACKS)


@pytest.fixture(scope="module")
def render(make_sound):
    sound, donor = make_sound(0), make_sound(99, 0.7)

    def again(name, audio, seed=3, gaps=GAPS):
        attack = ATTACKS[name]
        rng = np.random.default_rng(seed)
        return attack.render(audio, RATE, rng, gaps if attack.fills_gaps else (), donor)

    @cache
    def once(name, seed=3):
        return again(name, sound, seed)

    once.sound, once.again = sound, again
    return once


def where_it_acts(name, length):
    inside = np.zeros(length, dtype=bool)
    for span in GAPS if name in GAP_ATTACKS else [slice(None)]:
        inside[span] = True
    return inside


def test_there_are_many_attacks_of_many_families():
    assert len(ATTACKS) >= 14
    assert len({attack.family for attack in ATTACKS.values()}) >= 4
    for name, attack in ATTACKS.items():
        assert name == attack.name
        assert name.count("/") == 1
        assert attack.function.__doc__


@everyone
def test_output_is_audio_of_the_same_length(render, name):
    output = render(name)
    assert output.shape == render.sound.shape
    assert output.dtype == np.float32
    assert np.isfinite(output).all()


@everyone
def test_the_same_seed_gives_the_same_audio(render, name):
    before = render.sound.copy()
    assert np.array_equal(render.again(name, render.sound), render(name))
    assert np.array_equal(render.sound, before)


@everyone
def test_attacks_vary(render, name):
    assert any(not np.array_equal(render(name, seed), render(name)) for seed in (4, 5, 6, 7))


@everyone
def test_every_attack_changes_the_audio(render, name):
    inside = where_it_acts(name, len(render.sound))
    changed = np.abs(render(name) - render.sound)[inside] > 1 / 32_768
    assert changed.mean() > 0.5


@each(name for name in ATTACKS if name.startswith("vocoder/"))
def test_vocoders_keep_the_level(render, make_sound, name):
    for seed in range(4):
        sound = make_sound(seed)
        output = render.again(name, sound, seed)
        assert -6 < 20 * np.log10(np.std(output) / np.std(sound)) < 3


def envelope(audio):
    window = np.hanning(RATE // 50)
    power = signal.fftconvolve(audio**2, window / window.sum(), mode="same")
    loudness = np.log(np.maximum(power, 0) + 1e-5)
    return loudness - loudness.mean()


@each(ALIGNED)
def test_resynthesised_clips_have_no_delay(render, make_sound, name):
    total = 0.0
    for seed in range(4):
        sound = make_sound(seed)
        output = render.again(name, sound, seed)
        total = total + signal.correlate(envelope(output), envelope(sound), "full")
    lag = int(np.argmax(total)) - (len(sound) - 1)
    assert abs(lag) <= 2 * RATE // 1000


@pytest.mark.parametrize(
    "name",
    [
        "codec/mp3",
        "codec/opus",
        "codec/gsm",
        "codec/adpcm",
        "vocoder/quantised_phase",
        "vocoder/sinusoidal",
        "separation/harmonic_percussive",
        "separation/spectral_gate",
    ],
)
def test_waveforms_stay_in_place_to_the_sample(render, name):
    product = signal.correlate(render(name), render.sound, "full")
    assert np.argmax(product) == len(render.sound) - 1


@gap_attacks
def test_outside_the_gaps_nothing_changes(render, name):
    outside = ~where_it_acts(name, len(render.sound))
    assert np.array_equal(render(name)[outside], render.sound[outside])


@gap_attacks
@pytest.mark.parametrize(
    "gaps", [GAPS, (slice(0, 600), slice(900, 1_500), slice(15_400, 16_000)), (slice(0, 16_000),)]
)
def test_gap_attacks_never_look_inside_a_gap(render, make_sound, name, gaps):
    other = render.sound.copy()
    for gap in gaps:
        other[gap] = 5 * make_sound(7)[gap] + 0.3
    output = [render.again(name, audio, gaps=gaps) for audio in (render.sound, other)]
    for gap in gaps:
        assert np.array_equal(output[0][gap], output[1][gap])
        assert np.isfinite(output[0][gap]).all()


@everyone
@pytest.mark.parametrize("length", [SHORTEST, RATE // 2])
@pytest.mark.parametrize("kind", ["silence", "constant", "click", "noise", "tone"])
def test_short_and_odd_sounds_are_processed(render, name, length, kind):
    place = np.arange(length)
    sound = {
        "silence": np.zeros(length),
        "constant": np.full(length, 0.3),
        "click": np.where(place == length // 3, 0.9, 0),
        "noise": np.random.default_rng(0).normal(0, 0.1, length),
        "tone": 0.5 * np.sin(place * 0.2),
    }[kind].astype(np.float32)
    gap = slice(0, length) if length == SHORTEST else slice(1_000, 1_700)
    output = render.again(name, sound, gaps=(gap,))
    assert output.shape == (length,)
    assert output.dtype == np.float32
    assert np.isfinite(output).all()
    assert np.abs(output).max() < 3


@everyone
def test_other_sample_rates_are_supported(name, make_sound):
    attack = ATTACKS[name]
    for rate in (8_000, 22_050, 44_100):
        sound, donor = make_sound(1, 0.5, rate), make_sound(2, 0.5, rate)
        gaps = (slice(rate // 8, rate // 6),) if attack.fills_gaps else ()
        output = attack.render(sound, rate, np.random.default_rng(0), gaps, donor)
        assert output.shape == sound.shape
        assert np.isfinite(output).all()
