"""Neural attacks: a similar spectrum, other samples, and no cost until the first use."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import signal

from fakesound.attacks import ATTACKS
from fakesound.attacks.neural.codec import Codec, Quantiser
from fakesound.attacks.neural.mel import BANDS, HOP, SIZE, LogMel
from fakesound.attacks.neural.rendering import (
    NETWORKS,
    blurred,
    bridge,
    build_network,
    read_stages,
    weights_path,
)
from fakesound.data.audio import read_audio
from fakesound.forging import embedded_clips
from fakesound.models.features import torchaudio

RATE = 16_000
REMAKING = ("vocoder/neural_istft", "vocoder/neural_upsampling", "codec/neural_rvq")
FILLING = "inpainting/neural"

remaking = pytest.mark.parametrize("name", REMAKING)


@pytest.fixture(scope="module")
def voices():
    """Return speech that no generator was trained on."""
    clips = [c for c in embedded_clips() if c.domain == "pocketsphinx_testdata"]
    held = [c for c in clips if c.split != "train"] or clips
    return [read_audio(c.location, RATE)[: 3 * RATE] for c in held[:3]]


def log_spectrum(audio, size=512):
    _, _, bins = signal.stft(audio, RATE, nperseg=size, noverlap=size * 3 // 4)
    return 20 * np.log10(np.maximum(np.abs(bins), 1e-5))


def distance(one, other):
    """Log-spectral distance in dB."""
    return np.sqrt(((log_spectrum(one) - log_spectrum(other)) ** 2).mean(0)).mean()


def test_nothing_imports_torch_before_the_first_neural_attack():
    code = (
        "import sys, numpy as np, fakesound.forge, fakesound.forging.work\n"
        "from fakesound.attacks import ATTACKS\n"
        "make = lambda name: ATTACKS[name].render(\n"
        "    np.ones(4000, np.float32), 16000, np.random.default_rng(0))\n"
        "make('vocoder/griffin_lim'); print('torch' in sys.modules)\n"
        "make('vocoder/neural_istft'); print('torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_are_complete_and_small(name):
    stages = read_stages(name)
    assert "late" in stages
    for stage in stages:
        network = build_network(name, stage)
        assert all(torch.isfinite(weight).all() for weight in network.state_dict().values())
        assert set(stages[stage]) == set(network.state_dict())
    for one, other in pairwise(stages.values()):
        assert any(not torch.equal(one[key], other[key]) for key in one)


def test_all_weights_together_take_less_than_three_megabytes():
    files = list(weights_path("neural_istft").parent.iterdir())
    assert {file.stem for file in files if file.suffix == ".safetensors"} == set(NETWORKS)
    assert sum(file.stat().st_size for file in files) < 3e6


@remaking
def test_resynthesis_has_a_similar_spectrum_and_other_samples(name, voices):
    near, unlike = [], []
    for seed, voice in enumerate(voices * 2):
        output = ATTACKS[name].render(voice, RATE, np.random.default_rng(seed))
        near.append(distance(output, voice))
        unlike.append(distance(np.roll(voice, RATE), voice))
        assert np.mean(np.abs(output - voice) > 1e-4) > 0.5
        assert abs(20 * np.log10(np.std(output) / np.std(voice))) < 2
    assert 2 < np.mean(near) < 0.75 * np.mean(unlike)


def loudness(audio):
    window = np.hanning(RATE // 100)
    power = np.maximum(signal.fftconvolve(audio**2, window / window.sum(), mode="same"), 0)
    course = np.log(power + 1e-3 * power.mean())
    return course - course.mean()


@remaking
def test_resynthesised_speech_is_aligned(name, voices):
    total = 0.0
    for seed in range(8):
        voice = voices[seed % len(voices)]
        output = ATTACKS[name].render(voice, RATE, np.random.default_rng(seed))
        alike = signal.correlate(loudness(output), loudness(voice), "full")
        total = total + alike[len(voice) - 400 : len(voice) + 399]
    assert abs(int(np.argmax(total)) - 399) <= 2


@pytest.mark.parametrize("rate", [32_000, 44_100])
@remaking
def test_the_band_above_the_inner_rate_is_unchanged(name, rate):
    time = np.arange(rate) / rate
    high = 0.1 * np.sin(2 * np.pi * 14_000 * time)
    sound = (high + 0.1 * np.sin(2 * np.pi * 500 * time)).astype(np.float32)
    output = ATTACKS[name].render(sound, rate, np.random.default_rng(1))
    bins = [np.abs(np.fft.rfft(x * np.hanning(rate))) for x in (sound, output)]
    assert bins[1][14_000] == pytest.approx(bins[0][14_000], rel=0.02)


def test_a_filled_gap_sounds_like_its_surroundings(voices):
    rng = np.random.default_rng(2)
    steady = signal.lfilter([1], [1, -0.9], rng.normal(0, 0.02, 2 * RATE)).astype(np.float32)
    gap = slice(RATE, RATE + 4_800)
    output = ATTACKS[FILLING].render(steady, RATE, rng, gaps=[gap])[gap]
    assert abs(20 * np.log10(np.std(output) / np.std(steady))) < 6
    power = np.abs(np.fft.rfft(output)) ** 2
    assert power[: len(power) // 4].sum() > 0.8 * power.sum()


def test_filled_gaps_have_the_offset_of_the_clip(make_sound):
    for offset in (-0.05, 0.05):
        sound, gap = make_sound(3) + np.float32(offset), slice(4_000, 12_000)
        output = ATTACKS[FILLING].render(sound, RATE, np.random.default_rng(0), gaps=[gap])
        assert output[gap].mean() == pytest.approx(offset, abs=0.01)


def test_missing_frames_are_interpolated_between_edges():
    mel = np.zeros((2, 6), np.float32)
    mel[:, 5] = 4, 8
    mel[:, 2:5] = 99
    missing = np.array([0, 0, 1, 1, 1, 0], bool)
    assert bridge(mel, missing)[0] == pytest.approx([0, 0, 1, 2, 3, 4])
    assert bridge(mel, missing)[1] == pytest.approx([0, 0, 2, 4, 6, 8])


def test_bands_of_a_tone_are_at_its_pitch_and_level():
    time = np.arange(RATE) / RATE
    loud = torch.from_numpy(np.sin(2 * np.pi * 1_000 * time).astype(np.float32))[None]
    mel = LogMel()(loud)[0, :, 20:80]
    centre = 2595 * np.log10(1 + 1_000 / 700) / (2595 * np.log10(1 + 8_000 / 700) / (BANDS + 1)) - 1
    assert mel.mean(1).argmax() == pytest.approx(centre, abs=0.6)
    assert LogMel()(0.1 * loud)[0, :, 20:80].max() - mel.max() == pytest.approx(
        np.log(0.1), abs=0.01
    )


def test_mel_frames_agree_with_torchaudio():
    audio = torch.randn(1, RATE, generator=torch.Generator().manual_seed(0)) * 0.1
    theirs = torchaudio.transforms.MelSpectrogram(
        RATE, SIZE, hop_length=HOP, n_mels=BANDS, power=1.0, pad_mode="constant"
    )(audio)
    weight = torchaudio.functional.melscale_fbanks(SIZE // 2 + 1, 0, RATE / 2, BANDS, RATE).sum(0)
    ours = LogMel()(audio).exp()
    expected = theirs / weight[:, None] * 2 / torch.hann_window(SIZE).sum()
    assert torch.allclose(ours, expected, rtol=1e-3, atol=1e-6)


def test_a_flat_mel_spectrogram_is_spread_flat_over_the_bins():
    assert LogMel().between.sum(0) == pytest.approx(1, abs=1e-4)


def test_each_stage_codes_the_residual():
    quantiser = Quantiser(width=2, stages=2, groups=1, entries=2)
    quantiser.codebooks.data[:, 0] = torch.tensor([[[0.0, 0], [4, 4]], [[1, 0], [0, -1]]])
    latents = torch.tensor([[4.8, 0.1], [4.1, -0.8]])[None]  # frames (4.8, 4.1) and (0.1, -0.8)
    output, codes = quantiser(latents, 2)
    assert codes[:, 0, :, 0].tolist() == [[1, 0], [0, 1]]
    assert output[0].T.flatten().tolist() == pytest.approx([5, 4, 0, -1])
    assert quantiser(latents, 1)[0][0].T.flatten().tolist() == pytest.approx([4, 4, 0, 0])


def test_each_group_of_channels_has_its_codebook():
    quantiser = Quantiser(width=2, stages=1, groups=2, entries=2)
    quantiser.codebooks.data[0, :, :, 0] = torch.tensor([[0.0, 1], [10, 20]])
    output, codes = quantiser(torch.tensor([[[0.9], [12.0]]]), 1)
    assert output[0, :, 0].tolist() == pytest.approx([1, 10])
    assert codes[0, 0, 0].tolist() == [1, 0]


def test_the_initial_transform_of_the_codec_is_invertible():
    codec = Codec()
    audio = torch.randn(1, 1_600, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(codec.decode(codec.encode(audio)), audio, atol=1e-3)


def test_more_stages_reduce_the_error_of_the_codec(voices):
    network = build_network("neural_rvq", "late")
    assert isinstance(network, Codec)
    with torch.inference_mode():
        audio = torch.from_numpy(voices[0][: RATE * 2])[None]
        output = [network(audio, used)[0].numpy() for used in (1, network.quantiser.size)]
    assert distance(output[1], audio[0].numpy()) < distance(output[0], audio[0].numpy())


def test_mel_spectrograms_are_unchanged_smoothed_rounded_or_noisy():
    mel = np.random.default_rng(0).normal(-4, 2, (BANDS, 50)).astype(np.float32)
    output = [blurred(mel, np.random.default_rng(seed)) for seed in range(40)]
    same = sum(np.array_equal(one, mel) for one in output)
    smoother = sum(np.std(one) < 0.95 * np.std(mel) for one in output)
    coarse = sum(len(np.unique(one)) < 100 for one in output)
    rougher = sum(np.std(one) > np.std(mel) and len(np.unique(one)) > 100 for one in output)
    assert min(same, smoother, coarse, rougher) >= 2
    assert all(one.dtype == np.float32 for one in output)
