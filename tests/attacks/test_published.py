"""Published networks: arithmetic without weights, and quality if weights are installed."""

import numpy as np
import pytest
import torch
from scipy import signal
from torch import nn

from fakesound.attacks import ATTACKS
from fakesound.attacks.neural import hifigan, litert
from fakesound.attacks.neural.hifigan import CHINESE_16K, UNIVERSAL, HifiGan, log_mel
from fakesound.attacks.neural.litert import HOP, conceal
from fakesound.attacks.weights import PUBLISHED, weights_folder
from fakesound.data.audio import read_audio
from fakesound.errors import InputError
from fakesound.forging import embedded_clips
from fakesound.models.features import torchaudio

RATE = 16_000


def need(network):
    try:
        return weights_folder(network, network)
    except InputError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def voice():
    clip = next(c for c in embedded_clips() if c.domain == "pocketsphinx_testdata")
    return read_audio(clip.location, RATE)[: 2 * RATE]


def convergence(output, original):
    """Distance of STFT magnitudes, relative to the original: 0 is equal."""
    one, other = (
        np.abs(signal.stft(x, RATE, nperseg=512, noverlap=384)[2]) for x in (output, original)
    )
    return np.linalg.norm(one - other) / np.linalg.norm(other)


def test_mel_filters_are_those_of_slaney():
    expected = torchaudio.functional.melscale_fbanks(
        513, 0.0, 8_000.0, 80, 22_050, norm="slaney", mel_scale="slaney"
    )
    result = torch.from_numpy(hifigan.slaney_filters(22_050))
    torch.testing.assert_close(result, expected.T, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("form", [UNIVERSAL, CHINESE_16K])
@pytest.mark.parametrize("frames", [1, 3, 40])
def test_a_mel_spectrogram_has_one_frame_a_hop(form, frames):
    audio = torch.randn(2, frames * form.hop)
    assert log_mel(audio, form).shape == (2, 80, frames)


def test_weight_normalisation_is_multiplied_out():
    layer = nn.utils.parametrizations.weight_norm(nn.ConvTranspose1d(3, 5, 4))
    layer.parametrizations.weight.original0.data *= 1.7
    published = {
        "up.weight_g": layer.parametrizations.weight.original0,
        "up.weight_v": layer.parametrizations.weight.original1,
        "up.bias": layer.bias,
    }
    plain = hifigan.plain_weights(published)
    assert plain.keys() == {"up.weight", "up.bias"}
    torch.testing.assert_close(plain["up.weight"], layer.weight)


def test_a_generator_returns_256_samples_a_frame():
    with torch.inference_mode():
        assert HifiGan()(torch.zeros(1, 80, 5)).shape == (1, 5 * 256)


@pytest.mark.parametrize("gaps", [[(4_000, 4_960)], [(3_001, 3_800), (4_100, 5_000)], [(0, 700)]])
def test_a_perfect_predictor_restores_the_recording(monkeypatch, tmp_path, gaps):
    """Windows are overlap-added: a predictor that returns the signal reconstructs it."""
    place = np.arange(8_000, dtype=np.float32)
    truth = (0.3 * np.sin(place * 0.03)).astype(np.float32)
    window = (0.5 - 0.5 * np.cos(np.pi * np.arange(2 * HOP) / HOP)).astype(np.float32)
    spans = [slice(*gap) for gap in gaps]
    starts = [
        span.start + hop * HOP
        for span in spans
        for hop in range(-1, -(-(span.stop - span.start) // HOP))
    ]
    calls = iter(starts)

    def predict(hops):
        assert hops.shape == (6, HOP)
        start = next(calls)
        padded = np.pad(truth, 2 * HOP)
        return padded[start + 2 * HOP :][: 2 * HOP] * window

    monkeypatch.setattr(litert, "_concealer", lambda path: predict)
    lossy = truth.copy()
    for span in spans:
        lossy[span] = 0
    assert np.abs(conceal(tmp_path, lossy, spans) - truth).max() < 1e-6
    assert next(calls, None) is None


def test_lyra_has_a_lower_error_at_a_higher_bit_rate(voice):
    folder = need("lyra")
    loud = voice * (0.5 / np.abs(voice).max())
    near = [convergence(litert.lyra(folder, loud, stages), loud) for stages in (8, 16, 46)]
    assert near == sorted(near, reverse=True)
    assert near[-1] < 0.4


@pytest.mark.parametrize("network", ["hifigan", "hifigan_16k"])
def test_vocoders_reconstruct_speech(voice, network):
    need(network)
    output = ATTACKS[f"vocoder/{network}"].render(voice, RATE, np.random.default_rng(0))
    assert 0.05 < convergence(output, voice) < 0.7


@pytest.mark.parametrize("file", PUBLISHED["hifigan"].files)
def test_published_weights_fit_the_generator(file):
    path = need("hifigan") / file
    parameters = sum(p.numel() for p in hifigan._network(path).parameters())
    assert parameters == pytest.approx(13.9e6, rel=0.01)


def test_lost_packets_are_filled_with_sound(voice):
    need("tplcnet")
    gaps = [slice(start, start + 480) for start in range(4_000, 28_000, 4_000)]
    output = ATTACKS["inpainting/tplcnet"].render(voice, RATE, np.random.default_rng(0), gaps)
    lost = np.concatenate([voice[gap] for gap in gaps])
    filled = np.concatenate([output[gap] for gap in gaps])
    # nearer than silence would be
    assert np.mean((filled - lost) ** 2) < 0.95 * np.mean(lost**2)
