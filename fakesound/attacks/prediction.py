"""Linear prediction: all-pole models, interpolation and extrapolation."""

import numpy as np
from jaxtyping import Float, Float32
from scipy import fft, linalg, signal


def all_pole(
    correlation: Float[np.ndarray, "frame lag"],
) -> tuple[Float[np.ndarray, "frame order"], Float[np.ndarray, " frame"]]:
    """Return all-pole coefficients and residual energy from autocorrelations at lags 0 to order.

    Uses the Levinson-Durbin recursion on all frames at once.
    """
    count, order = correlation.shape[0], correlation.shape[1] - 1
    # one part in 10^9 of white noise keeps silent and pure-tone frames stable
    error = correlation[:, 0] * (1 + 1e-9) + 1e-12
    coefficients = np.zeros((count, order))
    for step in range(order):
        known = coefficients[:, :step]
        reflected = correlation[:, step + 1] + np.sum(known * correlation[:, step:0:-1], axis=1)
        reflection = -reflected / error
        coefficients[:, :step] = known + reflection[:, None] * known[:, ::-1]
        coefficients[:, step] = reflection
        error = error * (1 - reflection**2)
    return coefficients, error


def fit_predictor(samples: Float[np.ndarray, " sample"], order: int) -> Float[np.ndarray, " tap"]:
    """Return the prediction error filter of ``order`` by the autocorrelation method."""
    size = fft.next_fast_len(2 * len(samples), real=True)
    correlation = fft.irfft(np.abs(fft.rfft(samples, size)) ** 2, size)[: order + 1]
    # one part in 10^9 of white noise keeps silence and pure tones solvable
    correlation[0] = correlation[0] * (1 + 1e-9) + 1e-12
    return np.concatenate(([1.0], -linalg.solve_toeplitz(correlation[:order], correlation[1:])))


def most_likely(
    samples: Float[np.ndarray, " sample"], gap: slice, predictor: Float[np.ndarray, " tap"]
) -> Float[np.ndarray, " missing"]:
    """Return the samples of a gap with the least squared prediction error."""
    order, length = len(predictor) - 1, gap.stop - gap.start
    known = samples.copy()
    known[gap] = 0
    # the normal equations are Toeplitz with the predictor's autocorrelation as band
    band = np.correlate(predictor, predictor, "full")[order:]
    kernel = np.concatenate((band[:0:-1], band))
    pull = signal.fftconvolve(known, kernel, mode="same")[gap]
    rows = np.zeros((min(order, length - 1) + 1, length))
    for diagonal in range(len(rows)):
        rows[diagonal, : length - diagonal] = band[diagonal]
    rows[0] *= 1 + 1e-6
    return linalg.solveh_banded(rows, -pull, lower=True)


def extrapolate(
    past: Float32[np.ndarray, " past"], order: int, length: int
) -> Float[np.ndarray, " length"]:
    """Return ``length`` samples that follow ``past`` by linear prediction."""
    order = min(order, len(past) // 2)
    if order < 1:
        return np.zeros(length)
    rising = past * np.sin(0.5 * np.pi * (np.arange(len(past)) + 0.5) / len(past))
    predictor = fit_predictor(rising.astype(np.float64), order)
    state = signal.lfiltic([1.0], predictor, past[: -order - 1 : -1])
    carried, _ = signal.lfilter([1.0], predictor, np.zeros(length), zi=state)
    return carried
