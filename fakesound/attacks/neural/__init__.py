"""Neural attacks: resynthesise a clip with a small vocoder or codec trained on genuine audio.

Learned decoders leave other artefacts than signal processing: images of transposed convolutions,
phases predicted by a network, harmonics blurred by the mel scale, quantised latents. The weights
are in the training data, from several stages of training (`experiments/neural_attacks`). Stage,
inner rate, level and imperfections are drawn for each clip, so that no single fingerprint can be
learned. Torch is imported for the first clip.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import signal

from fakesound.attacks.spectral import Audio

# sample rates that the generators run at; the networks treat each as 16 kHz
INNER_RATES = (16_000, 18_000, 20_000, 22_050)
# share of clips at the first rate
NATIVE = 0.4
# range of the peak that the network receives, in dB of full scale
DRIVE = (-20.0, -4.0)
# quieter peaks get the gain of this one
QUIET = 1e-3
LARGEST_GAIN = 2.0


def neural_istft(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Resynthesise from the mel spectrogram by a network that predicts magnitudes and phases.

    After Siuzdak, "Vocos", 2023: all layers run at frame rate, before one inverse STFT.
    """
    return _resynthesise("neural_istft", audio, rate, rng)


def neural_upsampling(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Resynthesise from the mel spectrogram by a network of transposed convolutions.

    After Kong, Kim and Bae, "HiFi-GAN", NeurIPS 2020.
    """
    return _resynthesise("neural_upsampling", audio, rate, rng)


def neural_rvq(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Encode and decode with a neural codec at 11 to 62 kbit/s.

    After Zeghidour et al., "SoundStream", TASLP 2021: 1 to 4 stages of 28 bits, 400 to 551 frames
    a second.
    """
    return _resynthesise("neural_rvq", audio, rate, rng)


def neural_filling(
    audio: Audio, rate: int, gaps: Sequence[slice], rng: np.random.Generator
) -> Audio:
    """Fill gaps with a network that predicts mel spectrograms, and a vocoder.

    The network uses both sides of a gap; the vocoder is that of `neural_istft`.
    """
    from fakesound.attacks.neural.rendering import fill

    inner = _inner_rate(rng)
    return fill_gaps(audio, rate, gaps, rng, inner, lambda x, spans: fill(x, spans, rng))


def fill_gaps(
    audio: Audio,
    rate: int,
    gaps: Sequence[slice],
    rng: np.random.Generator,
    inner: int,
    fill: Callable[[Audio, Sequence[slice]], Audio],
) -> Audio:
    """Return ``audio`` with each gap filled by ``fill``, a network at the rate ``inner``.

    ``fill`` receives audio that is zero in the gaps, at a random level, and the gaps at the inner
    rate. Audio outside the gaps does not change.
    """
    outside = np.ones(len(audio), dtype=bool)
    for gap in gaps:
        outside[gap] = False
    offset = audio[outside].mean() if outside.any() else np.float32(0)
    context = np.where(outside, audio - offset, 0)
    resampled = _resampled(context, rate, inner)
    drive = _drive(resampled, rng, DRIVE)
    spans = [slice(gap.start * inner // rate, -(-gap.stop * inner // rate)) for gap in gaps]
    filled = fill((resampled * drive).astype(np.float32), spans) / drive
    restored = _resampled(filled, inner, rate)[: len(audio)]
    return np.where(outside, audio, restored - restored.mean() + offset).astype(np.float32)


def _resynthesise(name: str, audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` by the generator ``name`` of this package."""
    # torch takes seconds to import, and most attacks do not need it
    from fakesound.attacks.neural.rendering import render

    return resynthesise(audio, rate, rng, _inner_rate(rng), lambda x: render(name, x, rng))


def resynthesise(
    audio: Audio,
    rate: int,
    rng: np.random.Generator,
    inner: int,
    render: Callable[[Audio], Audio],
    levels: tuple[float, float] = DRIVE,
) -> Audio:
    """Return ``audio`` by ``render``, a network at the rate ``inner``, aligned and equally loud.

    The band above half the inner rate is not changed.

    Args:
        audio: mono audio of any level.
        rate: sample rate of ``audio`` in Hz.
        rng: generator of the level.
        inner: sample rate of the input and output of ``render`` in Hz.
        render: function that returns as many samples as it receives.
        levels: range of the peak that ``render`` receives, in dB of full scale.
    """
    resampled = _resampled(audio, rate, inner)
    drive = _drive(resampled, rng, levels)
    rendered = render((resampled * drive).astype(np.float32)) / drive
    energy = [float(np.mean(np.square(part))) + 1e-12 for part in (resampled, rendered)]
    gain = np.clip(np.sqrt(energy[0] / energy[1]), 1 / LARGEST_GAIN, LARGEST_GAIN)
    restored = _resampled(rendered * gain, inner, rate)[: len(audio)]
    if rate > inner:
        restored = restored + (audio - _resampled(resampled, inner, rate)[: len(audio)])
    return restored.astype(np.float32)


def _inner_rate(rng: np.random.Generator) -> int:
    return INNER_RATES[0] if rng.random() < NATIVE else int(rng.choice(INNER_RATES[1:]))


def _drive(audio: np.ndarray, rng: np.random.Generator, levels: tuple[float, float]) -> float:
    """Draw the factor that brings the peak of ``audio`` into ``levels``, in dB of full scale."""
    peak = float(np.max(np.abs(audio), initial=0.0))
    return float(10 ** (rng.uniform(*levels) / 20) / max(peak, QUIET))


def _resampled(audio: np.ndarray, rate: int, target_rate: int) -> np.ndarray:
    return audio if rate == target_rate else signal.resample_poly(audio, target_rate, rate)
