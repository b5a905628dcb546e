"""Vocoder attacks: analyse a clip into parameters and resynthesise it (copy synthesis).

Each returns audio of the same length and loudness, aligned to the sample, so that any span can
replace the same span of the original.
"""

import numpy as np
import pyworld
from scipy import ndimage, signal

from fakesound.attacks.codec import shifted
from fakesound.attacks.prediction import all_pole
from fakesound.attacks.spectral import Audio, Stft, griffin_lim, mel_filters

# factor on the radius of the poles, which widens their resonances
WIDER = 0.995


def mel_griffin_lim(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Resynthesise from the mel spectrogram, with phases by fast Griffin-Lim.

    64 to 128 bands and 8 to 24 iterations are drawn. Phase and fine frequency detail are lost, as
    with neural vocoders.
    """
    stft = Stft(1024, 256) if rng.random() < 0.5 else Stft(512, 128)
    magnitude = np.abs(stft.forward(audio))
    filters = mel_filters(int(rng.integers(64, 129)), magnitude.shape[1], rate)
    filters = filters[filters.sum(1) > 0]
    spread = filters / np.maximum(filters.sum(1, keepdims=True), 1e-8)
    mel = magnitude @ spread.T
    # normalised by their sum, the filters interpolate between band means
    cover = np.maximum(filters.sum(0), 1e-3)
    rebuilt = (mel @ (filters / cover)).astype(np.float32)
    return griffin_lim(rebuilt, stft, len(audio), int(rng.integers(8, 25)), rng)


def griffin_lim_resynthesis(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Resynthesise from exact magnitudes, with phases by 4 to 24 Griffin-Lim iterations."""
    stft = Stft(512, 128) if rng.random() < 0.5 else Stft(1024, 256)
    magnitude = np.abs(stft.forward(audio))
    return griffin_lim(magnitude, stft, len(audio), int(rng.integers(4, 25)), rng)


def quantised_phase(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """Keep the magnitudes, and quantise phases to 2 to 4 levels or add jitter to them."""
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
    """Resynthesise with WORLD: DIO and StoneMask pitch, CheapTrick envelope, D4C aperiodicity.

    Frames last 8 to 12 ms, twice the default, which halves the cost. Morise, Yokomori and Ozawa,
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
    """Resynthesise with an all-pole vocoder, which keeps the envelope and replaces the excitation.

    In frames of 32 ms, noise and a pulse train at the lag of the autocorrelation peak, mixed by the
    height of the peak, replace the residual (Atal and Hanauer, JASA 1971).
    """
    hop = rate * 16 // 1000
    size = 2 * hop
    order = int(rng.integers(16, 33))
    count = -(-len(audio) // hop)
    # frame i is centred on its output, the samples from i * hop on
    padded = np.pad(audio, (hop // 2, count * hop + hop - len(audio))).astype(np.float64)
    window = np.hanning(size + 1)[:-1]
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop][:count]
    correlation = _autocorrelation(frames * window)
    coefficients, error = all_pole(correlation[:, : order + 1])
    gain = np.sqrt(np.maximum(error, 0) / np.sum(window**2))
    # widen resonances by 13 Hz (at 16 kHz), since the filter of a pure tone would be unstable
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
    """Resynthesise from the 20 to 60 strongest spectral peaks of each frame and shaped noise.

    McAulay and Quatieri, IEEE TASSP 1986, with a noise residual after Serra and Smith, CMJ 1990:
    bins outside the peaks keep their magnitude and lose their phase.
    """
    stft = Stft(1024, 256)
    spectrum = stft.forward(audio)
    magnitude = np.abs(spectrum)
    inner = magnitude[:, 1:-1]
    peak = np.zeros(magnitude.shape, dtype=bool)
    peak[:, 1:-1] = (inner > magnitude[:, :-2]) & (inner >= magnitude[:, 2:])
    strength = np.where(peak, magnitude, 0)
    count = int(rng.integers(20, 61))
    floor = -np.partition(-strength, count, axis=1)[:, count : count + 1]
    peak &= strength > floor
    lobe = peak.copy()
    for shift in (1, 2):
        lobe[:, shift:] |= peak[:, :-shift]
        lobe[:, :-shift] |= peak[:, shift:]
    angle = rng.uniform(-np.pi, np.pi, magnitude.shape)
    noise = magnitude * np.exp(1j * angle)
    return stft.inverse(np.where(lobe, spectrum, noise).astype(np.complex64), len(audio))


def _headroom(audio: Audio, output: np.ndarray, hop: int) -> np.ndarray:
    """Return a gain, interpolated between hops, that limits ``output`` to twice the level."""
    count = -(-len(audio) // hop)
    levels = [
        np.sqrt(np.mean(np.resize(part, count * hop).reshape(count, hop) ** 2.0, axis=1)) + 1e-6
        for part in (audio, output)
    ]
    # the minimum of neighbours, so that interpolated gains do not exceed either hop's
    factor = ndimage.minimum_filter1d(np.minimum(1, 2 * levels[0] / levels[1]), 3)
    return np.interp(np.arange(len(audio)), (np.arange(count) + 0.5) * hop, factor)


def _autocorrelation(frames: np.ndarray) -> np.ndarray:
    size = frames.shape[1]
    power = np.abs(np.fft.rfft(frames, 2 * size, axis=1)) ** 2
    return np.fft.irfft(power, axis=1)[:, :size]
