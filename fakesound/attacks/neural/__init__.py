"""Neural attacks: a clip through a small vocoder or codec that was trained on genuine audio.

What learned decoders leave behind differs from what signal processing leaves: images of transposed
convolutions, phases guessed by a network, harmonics blurred by the mel scale, latents rounded to
codebooks. The weights come with the package (`experiments/neural_attacks` trains them). They are of
several stages of training, and stage, inner rate, level and imperfections are drawn anew for each
clip, so that no single fingerprint can be learned. Torch is imported when the first clip is made.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import signal

from fakesound.attacks.spectral import Audio

# rates that the generators run at; they take each for 16 kHz
INNER_RATES = (16_000, 18_000, 20_000, 22_050)
NATIVE = 0.4
# dB of full scale that the peak is brought to
DRIVE = (-20.0, -4.0)
# quieter peaks are driven no harder
QUIET = 1e-3
LARGEST_GAIN = 2.0


def neural_istft(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` from its mel spectrogram by a network that gives magnitudes and phases.

    After Siuzdak, "Vocos", 2023: frames in, one inverse short-time Fourier transform at the end.
    """
    return _remade("neural_istft", audio, rate, rng)


def neural_upsampling(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` from its mel spectrogram by a network of transposed convolutions.

    After Kong, Kim and Bae, "HiFi-GAN", NeurIPS 2020.
    """
    return _remade("neural_upsampling", audio, rate, rng)


def neural_rvq(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through a neural codec at 11 to 62 kbit/s.

    After Zeghidour et al., "SoundStream", TASLP 2021: 1 to 4 stages of 28 bits, 400 to 551 frames
    a second.
    """
    return _remade("neural_rvq", audio, rate, rng)


def neural_filling(
    audio: Audio, rate: int, gaps: Sequence[slice], rng: np.random.Generator
) -> Audio:
    """Return ``audio`` with each gap filled by a network for its mel spectrogram and a vocoder.

    The network bridges the gap from both sides; the vocoder is that of `neural_istft`.
    """
    from fakesound.attacks.neural.rendering import fill

    inner = _inner_rate(rng)
    return filled(audio, rate, gaps, rng, inner, lambda x, spans: fill(x, spans, rng))


def filled(
    audio: Audio,
    rate: int,
    gaps: Sequence[slice],
    rng: np.random.Generator,
    inner: int,
    fill: Callable[[Audio, Sequence[slice]], Audio],
) -> Audio:
    """Return ``audio`` with each gap filled by ``fill``, a network at the rate ``inner``.

    ``fill`` takes audio that is zero in the gaps, at a level drawn at random, and the gaps at its
    own rate. Outside the gaps nothing changes.
    """
    outside = np.ones(len(audio), dtype=bool)
    for gap in gaps:
        outside[gap] = False
    offset = audio[outside].mean() if outside.any() else np.float32(0)
    known = np.where(outside, audio - offset, 0)
    there = _resampled(known, rate, inner)
    drive = _drive(there, rng, DRIVE)
    spans = [slice(gap.start * inner // rate, -(-gap.stop * inner // rate)) for gap in gaps]
    made = fill((there * drive).astype(np.float32), spans) / drive
    back = _resampled(made, inner, rate)[: len(audio)]
    return np.where(outside, audio, back - back.mean() + offset).astype(np.float32)


def _remade(name: str, audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` by the generator ``name`` of this package."""
    # torch takes seconds to import, and most of the forge needs none
    from fakesound.attacks.neural.rendering import render

    return remade(audio, rate, rng, _inner_rate(rng), lambda x: render(name, x, rng))


def remade(
    audio: Audio,
    rate: int,
    rng: np.random.Generator,
    inner: int,
    render: Callable[[Audio], Audio],
    levels: tuple[float, float] = DRIVE,
) -> Audio:
    """Return ``audio`` by ``render``, a network at the rate ``inner``, in place and as loud.

    Above half the inner rate, the clip keeps its own band.

    Args:
        audio: any level.
        rate: samples a second of ``audio``.
        rng: source of the level.
        inner: samples a second that ``render`` takes and returns.
        render: returns as many samples as it takes.
        levels: range in dB of full scale from which the peak given to ``render`` is drawn.
    """
    there = _resampled(audio, rate, inner)
    drive = _drive(there, rng, levels)
    made = render((there * drive).astype(np.float32)) / drive
    energy = [float(np.mean(np.square(part))) + 1e-12 for part in (there, made)]
    made = made * np.clip(np.sqrt(energy[0] / energy[1]), 1 / LARGEST_GAIN, LARGEST_GAIN)
    back = _resampled(made, inner, rate)[: len(audio)]
    if rate > inner:
        back = back + (audio - _resampled(there, inner, rate)[: len(audio)])
    return back.astype(np.float32)


def _inner_rate(rng: np.random.Generator) -> int:
    return INNER_RATES[0] if rng.random() < NATIVE else int(rng.choice(INNER_RATES[1:]))


def _drive(audio: np.ndarray, rng: np.random.Generator, levels: tuple[float, float]) -> float:
    """Return the factor that brings the peak of ``audio`` to a level at random."""
    peak = float(np.max(np.abs(audio), initial=0.0))
    return float(10 ** (rng.uniform(*levels) / 20) / max(peak, QUIET))


def _resampled(audio: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    return audio if rate == wanted else signal.resample_poly(audio, wanted, rate)
