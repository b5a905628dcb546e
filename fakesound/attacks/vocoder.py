"""Vocoder attacks: a clip taken apart into parameters and put together again (copy synthesis).

Each returns audio as long and as loud as what it was given, aligned with it to the sample, so that
any span of it can stand in for the same span of the original.
"""

import numpy as np
import pyworld
from scipy import ndimage, signal

from fakesound.attacks.codec import shifted
from fakesound.attacks.prediction import all_pole
from fakesound.attacks.spectral import Audio, Stft, griffin_lim, mel_filters

# what the poles of linear prediction are drawn in by
WIDER = 0.995


def mel_griffin_lim(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` rebuilt from its mel spectrogram, phases by fast Griffin-Lim.

    64 to 128 bands and 8 to 24 iterations at random: what neural vocoders are trained to do
    better, with the same loss of phase and of fine frequency detail.
    """
    stft = Stft(1024, 256) if rng.random() < 0.5 else Stft(512, 128)
    magnitude = np.abs(stft.forward(audio))
    filters = mel_filters(int(rng.integers(64, 129)), magnitude.shape[1], rate)
    filters = filters[filters.sum(1) > 0]
    spread = filters / np.maximum(filters.sum(1, keepdims=True), 1e-8)
    mel = magnitude @ spread.T
    # filters that overlap to about one everywhere interpolate between band means
    cover = np.maximum(filters.sum(0), 1e-3)
    rebuilt = (mel @ (filters / cover)).astype(np.float32)
    return griffin_lim(rebuilt, stft, len(audio), int(rng.integers(8, 25)), rng)


def griffin_lim_resynthesis(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` with its exact magnitudes and phases by 4 to 24 Griffin-Lim iterations."""
    stft = Stft(512, 128) if rng.random() < 0.5 else Stft(1024, 256)
    magnitude = np.abs(stft.forward(audio))
    return griffin_lim(magnitude, stft, len(audio), int(rng.integers(4, 25)), rng)


def quantised_phase(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` with its magnitudes and phases coarsened to 2 to 4 levels, or jittered."""
    stft = Stft(512, 128) if rng.random() < 0.5 else Stft(1024, 256)
    spectrum = stft.forward(audio)
    angle = np.angle(spectrum)
    if rng.random() < 0.5:
        step = 2 * np.pi / int(rng.integers(2, 5))
        angle = np.round(angle / step) * step
    else:
        jitter = rng.uniform(0.3, 0.6) * np.pi
        angle = angle + rng.uniform(-jitter, jitter, angle.shape)
    phase = np.exp(1j * angle).astype(np.complex64)
    return stft.inverse(np.abs(spectrum) * phase, len(audio))


def world(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through WORLD: DIO and StoneMask pitch, CheapTrick envelope, D4C noise.

    A frame every 8 to 12 ms (twice the default halves the cost). Morise, Yokomori and Ozawa,
    "WORLD: a vocoder-based high-quality speech synthesis system", IEICE Transactions 2016.
    """
    samples = audio.astype(np.float64)
    period = float(rng.uniform(8, 12))
    pitch, times = pyworld.dio(samples, rate, frame_period=period, speed=4)
    pitch = pyworld.stonemask(samples, pitch, times, rate)
    envelope = pyworld.cheaptrick(samples, pitch, times, rate)
    aperiodicity = pyworld.d4c(samples, pitch, times, rate)
    rebuilt = pyworld.synthesize(pitch, envelope, aperiodicity, rate, frame_period=period)
    return shifted(rebuilt.astype(np.float32), 0, len(audio))


def linear_prediction(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` through an all-pole vocoder: envelope kept, excitation synthetic.

    Frames of 32 ms; the residual is replaced by noise mixed with a pulse train at the frame's
    autocorrelation peak, in the proportion of that peak (Atal and Hanauer, JASA 1971).
    """
    hop = rate * 16 // 1000
    size = 2 * hop
    order = int(rng.integers(16, 33))
    count = -(-len(audio) // hop)
    # frame i in the middle of the samples it gives: those from i * hop on
    padded = np.pad(audio, (hop // 2, count * hop + hop - len(audio))).astype(np.float64)
    window = np.hanning(size + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:count]
    correlation = _autocorrelation(frames * window)
    coefficients, error = all_pole(correlation[:, : order + 1])
    gain = np.sqrt(np.maximum(error, 0) / np.sum(window**2))
    # resonances 13 Hz wider (at 16 kHz), or pure tones ring up without end
    coefficients = coefficients * WIDER ** np.arange(1, order + 1)

    shortest, longest = rate // 400, min(rate // 60, size - 1)
    lags = correlation[:, shortest:longest] / np.maximum(correlation[:, :1], 1e-12)
    lag = shortest + np.argmax(lags, axis=1)
    voiced = np.clip(lags.max(axis=1), 0, 0.95)

    noise = rng.standard_normal(count * hop)
    pulses = np.zeros(count * hop)
    position = 0
    while position < len(pulses):
        period = lag[position // hop]
        pulses[position] = np.sqrt(period)
        position += period
    output = np.zeros(count * hop)
    state = np.zeros(order)
    for frame in range(count):
        span = slice(frame * hop, (frame + 1) * hop)
        mix = voiced[frame] * pulses[span] + np.sqrt(1 - voiced[frame] ** 2) * noise[span]
        output[span], state = signal.lfilter(
            [gain[frame]], np.concatenate(([1.0], coefficients[frame])), mix, zi=state
        )
    output = output[: len(audio)]
    return (output * _headroom(audio, output, hop)).astype(np.float32)


def sinusoidal(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Return ``audio`` as the 20 to 60 strongest spectral peaks of each frame plus shaped noise.

    McAulay and Quatieri, IEEE TASSP 1986, with the residual as noise after Serra and Smith, CMJ
    1990: everything below the peaks keeps its magnitude and loses its phase.
    """
    stft = Stft(1024, 256)
    spectrum = stft.forward(audio)
    magnitude = np.abs(spectrum)
    inner = magnitude[:, 1:-1]
    peak = np.zeros(magnitude.shape, dtype=bool)
    peak[:, 1:-1] = (inner > magnitude[:, :-2]) & (inner >= magnitude[:, 2:])
    strength = np.where(peak, magnitude, 0)
    kept = int(rng.integers(20, 61))
    floor = -np.partition(-strength, kept, axis=1)[:, kept : kept + 1]
    peak &= strength > floor
    lobe = peak.copy()
    for shift in (1, 2):
        lobe[:, shift:] |= peak[:, :-shift]
        lobe[:, :-shift] |= peak[:, shift:]
    angle = rng.uniform(-np.pi, np.pi, magnitude.shape)
    noise = magnitude * np.exp(1j * angle)
    return stft.inverse(np.where(lobe, spectrum, noise).astype(np.complex64), len(audio))


def _headroom(audio: Audio, made: np.ndarray, hop: int) -> np.ndarray:
    """Return factors, moving in steps of ``hop``, that keep ``made`` within twice the level."""
    count = -(-len(audio) // hop)
    levels = [
        np.sqrt(np.mean(np.resize(part, count * hop).reshape(count, hop) ** 2.0, axis=1)) + 1e-6
        for part in (audio, made)
    ]
    # the least of neighbours, so that moving between two steps never goes above either
    factor = ndimage.minimum_filter1d(np.minimum(1, 2 * levels[0] / levels[1]), 3)
    return np.interp(np.arange(len(audio)), (np.arange(count) + 0.5) * hop, factor)


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    size = frames.shape[1]
    power = np.abs(np.fft.rfft(frames, 2 * size, axis=1)) ** 2
    return np.fft.irfft(power, axis=1)[:, :size]
