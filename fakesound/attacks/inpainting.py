"""Inpainting attacks: fill gaps from their context, without using the original content.

Each takes a clip and its gaps (sorted, disjoint slices of samples) and returns the clip with the
gaps filled and no change outside them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float32

from fakesound.attacks.prediction import extrapolate, fit_predictor, most_likely
from fakesound.attacks.spectral import Audio, Magnitude, Stft

STFT = Stft(512, 128)


def janssen(audio: Audio, rate: int, gaps: Sequence[slice], rng: np.random.Generator) -> Audio:
    """Fill gaps with the most likely autoregressive signal, estimating model and samples in turn.

    Janssen, Veldhuis and Vries, "Adaptive interpolation of discrete-time signals that can be
    modeled as autoregressive processes", IEEE TASSP 1986; order 160 to 256, which spans a pitch
    period at 16 kHz, and 2 rounds on up to 3072 samples of context on each side.
    """
    order = int(rng.integers(160, 257))
    filled = audio.copy()
    for gap, (past, future) in zip(gaps, _contexts(audio, gaps, 3072), strict=True):
        excerpt = np.concatenate((past, np.zeros(gap.stop - gap.start), future))
        inner = slice(len(past), len(past) + gap.stop - gap.start)
        known = len(past) + len(future)
        for _ in range(2):
            predictor = fit_predictor(excerpt, max(1, min(order, known // 3)))
            excerpt[inner] = most_likely(excerpt, inner, predictor)
        filled[gap] = excerpt[inner]
    return filled


def extrapolation(
    audio: Audio, rate: int, gaps: Sequence[slice], rng: np.random.Generator
) -> Audio:
    """Fill gaps by linear prediction from both sides, cross-faded.

    Kauppinen and Roth, "Audio signal extrapolation: theory and applications", DAFx 2002; order 128
    to 512 on up to 100 to 250 ms of context.
    """
    order = int(rng.integers(128, 513))
    reach = int(rng.uniform(0.1, 0.25) * rate) + order
    filled = audio.copy()
    for gap, (past, future) in zip(gaps, _contexts(audio, gaps, reach), strict=True):
        length = gap.stop - gap.start
        forward = extrapolate(past, order, length)
        backward = extrapolate(future[::-1], order, length)[::-1]
        fade = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)
        filled[gap] = np.sqrt(1 - fade) * forward + np.sqrt(fade) * backward
    return filled


def spectral_interpolation(
    audio: Audio, rate: int, gaps: Sequence[slice], rng: np.random.Generator
) -> Audio:
    """Fill gaps with log magnitudes interpolated in time and phases that fit the borders."""
    magnitude, missing = _observe(audio, gaps)
    for hole in missing:
        left, right = _borders(magnitude, hole, frames=5)
        magnitude[hole] = _interpolate(left, right, hole.stop - hole.start)
    return _resynthesise(audio, gaps, magnitude, missing, rng, iterations=12)


def context_noise(
    audio: Audio, rate: int, gaps: Sequence[slice], rng: np.random.Generator
) -> Audio:
    """Fill gaps with noise that has the interpolated spectral envelope of both sides.

    The comfort noise of packet-loss concealment (ITU-T G.711 appendix II), at full band.
    """
    magnitude, missing = _observe(audio, gaps)
    for hole in missing:
        left, right = _borders(magnitude, hole, frames=int(rng.integers(6, 32)))
        envelope = _interpolate(left, right, hole.stop - hole.start)
        # magnitudes of Gaussian noise are Rayleigh distributed
        magnitude[hole] = envelope * rng.rayleigh(1.0, envelope.shape)
    return _resynthesise(audio, gaps, magnitude, missing, rng, iterations=1)


def nmf(audio: Audio, rate: int, gaps: Sequence[slice], rng: np.random.Generator) -> Audio:
    """Fill gaps by a non-negative factorisation of the rest of the clip.

    Spectra are learnt outside the gaps by Kullback-Leibler updates (Lee and Seung, NIPS 2001).
    Their activations are interpolated over a gap, with the same roughness as outside, and phases
    fit the borders. After Smaragdis, Raj and Shashanka, Journal of Signal Processing Systems 2011.
    """
    magnitude, missing = _observe(audio, gaps)
    present = np.ones(len(magnitude), dtype=bool)
    for hole in missing:
        present[hole] = False
    if not present.any():
        return _resynthesise(audio, gaps, np.zeros_like(magnitude), missing, rng, iterations=0)
    known = magnitude[present] + np.float32(1e-6)
    rank = int(rng.integers(8, 33))
    spectra = rng.random((rank, known.shape[1]), dtype=np.float32) + np.float32(0.1)
    part = rng.random((len(known), rank), dtype=np.float32) + np.float32(0.1)
    for _ in range(20):
        spectra *= part.T @ (known / (part @ spectra)) / part.sum(0)[:, None]
        part *= (known / (part @ spectra + 1e-9)) @ spectra.T / (spectra.sum(1) + 1e-9)
        spectra, part = np.maximum(spectra, 1e-9), np.maximum(part, 1e-9)
    activation = np.zeros((len(magnitude), rank), dtype=np.float32)
    activation[present] = part
    steps = np.abs(np.diff(np.log(part), axis=0))
    roughness = np.minimum(np.median(steps, axis=0), 0.7) if len(steps) else 0.0
    for hole in missing:
        left, right = _borders(activation, hole, frames=4)
        path = _interpolate(left, right, hole.stop - hole.start)
        wander = np.exp(rng.normal(0, 1, path.shape) * roughness)
        magnitude[hole] = (path * wander) @ spectra
    return _resynthesise(audio, gaps, magnitude, missing, rng, iterations=12)


def nearest_patch(
    audio: Audio, rate: int, gaps: Sequence[slice], rng: np.random.Generator
) -> Audio:
    """Fill gaps with a copy of the part of the clip whose borders are most similar.

    Similarity is the distance of log spectra over 60 ms before and after, as in Perraudin et al.,
    "Inpainting of long audio segments with similarity graphs", IEEE/ACM TASLP 2018. One of the
    three best parts is used, moved by up to 10 ms to continue the waveform of the left border.
    """
    hop, border = rate // 100, rate // 100 * 6
    stft = Stft(4 * hop, hop)
    hidden, inside = _hide(audio, gaps)
    logs = np.log(np.abs(stft.forward(hidden)) + 1e-4)
    covered = np.concatenate(([0], np.cumsum(inside)))
    filled = audio.copy()
    for gap, (past, future) in zip(gaps, _contexts(audio, gaps, len(audio)), strict=True):
        length = gap.stop - gap.start
        starts = np.arange(border + hop, len(audio) - length - border - hop, hop)
        # a patch must hold no gap, also after it is moved
        starts = starts[covered[starts + length + hop] == covered[starts - hop]]
        if not len(starts):
            longer = past if len(past) > len(future) else future
            filled[gap] = np.resize(longer, length) if len(longer) else 0
            continue
        onsets = np.concatenate(([gap.start], starts))
        near = np.arange(border // hop)
        before = onsets[:, None] // hop - len(near) + near
        behind = (onsets[:, None] + length) // hop + 3 + near
        frames = np.clip(np.concatenate((before, behind), axis=1), 0, len(logs) - 1)
        marks = logs[frames].reshape(len(onsets), -1)
        distance = np.linalg.norm(marks[1:] - marks[0], axis=1)
        best = int(starts[rng.choice(np.argsort(distance)[:3])])
        if gap.start >= border:
            window = hidden[best - border - hop : best + hop]
            tail = hidden[gap.start - border : gap.start]
            best += int(np.argmax(np.correlate(window, tail, "valid"))) - hop
        filled[gap] = audio[best : best + length]
    return filled


def _contexts(
    audio: Audio, gaps: Sequence[slice], reach: int
) -> list[tuple[Float32[np.ndarray, " past"], Float32[np.ndarray, " future"]]]:
    """Return up to ``reach`` samples before and after each gap, up to its neighbours."""
    stops = [0, *(gap.stop for gap in gaps[:-1])]
    starts = [*(gap.start for gap in gaps[1:]), len(audio)]
    return [
        (audio[max(first, gap.start - reach) : gap.start], audio[gap.stop : last][:reach])
        for first, gap, last in zip(stops, gaps, starts, strict=True)
    ]


def _hide(audio: Audio, gaps: Sequence[slice]) -> tuple[Audio, Bool[np.ndarray, " sample"]]:
    """Return ``audio`` with zeros in the gaps, and a mask of these samples."""
    inside = np.zeros(len(audio), dtype=bool)
    for gap in gaps:
        inside[gap] = True
    return np.where(inside, np.float32(0), audio), inside


def _observe(audio: Audio, gaps: Sequence[slice]) -> tuple[Magnitude, list[slice]]:
    """Return the magnitudes of ``audio`` with empty gaps, and the runs of frames they touch."""
    magnitude = np.abs(STFT.forward(_hide(audio, gaps)[0]))
    touched = np.zeros(len(magnitude) + 2, dtype=np.int8)
    for gap in gaps:
        touched[1 + gap.start // STFT.hop : 2 + (gap.stop - 1) // STFT.hop + 3] = 1
    touched[-1] = 0
    edges = np.flatnonzero(np.diff(touched))
    return magnitude, [slice(a, b) for a, b in edges.reshape(-1, 2)]


def _borders(
    values: Float[np.ndarray, "frame value"], hole: slice, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return up to ``frames`` rows before and after ``hole``; an empty side is replaced."""
    left, right = values[max(0, hole.start - frames) : hole.start], values[hole.stop :][:frames]
    left = left if len(left) else right
    right = right if len(right) else left
    silence = np.full((1, values.shape[1]), 1e-6)
    return (left, right) if len(left) else (silence, silence)


def _interpolate(left: np.ndarray, right: np.ndarray, count: int) -> Float[np.ndarray, "count v"]:
    """Return ``count`` rows between the geometric means of ``left`` and ``right``."""
    start, end = (np.log(side + 1e-7).mean(0) for side in (left, right))
    weight = ((np.arange(count) + 0.5) / count)[:, None]
    return np.exp((1 - weight) * start + weight * end)


def _resynthesise(
    audio: Audio,
    gaps: Sequence[slice],
    magnitude: Magnitude,
    missing: Sequence[slice],
    rng: np.random.Generator,
    iterations: int,
) -> Audio:
    """Fill the gaps from magnitudes, with phases by Griffin-Lim that keeps known samples."""
    hidden, inside = _hide(audio, gaps)
    rows = np.concatenate([np.arange(hole.start, hole.stop) for hole in missing])
    target = magnitude[rows].astype(np.float32)
    spectrum = STFT.forward(hidden)
    angle = rng.uniform(-np.pi, np.pi, target.shape).astype(np.float32)
    spectrum[rows] = target * np.exp(1j * angle)
    for _ in range(iterations):
        filled = np.where(inside, STFT.inverse(spectrum, len(audio)), audio)
        spectrum = STFT.forward(filled)
        spectrum[rows] *= target / np.maximum(np.abs(spectrum[rows]), 1e-8)
    return np.where(inside, STFT.inverse(spectrum, len(audio)), audio)
