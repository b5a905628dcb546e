"""Short-time Fourier transform, phase reconstruction and mel filters of the attacks."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex64, Float32, Float64
from scipy import fft

Audio = Float32[np.ndarray, " sample"]
Magnitude = Float32[np.ndarray, "frame bin"]
# momentum of fast Griffin-Lim
MOMENTUM = np.float32(0.99)


@dataclass(frozen=True)
class Stft:
    """Short-time Fourier transform with a periodic Hann window and exact inverse.

    Attributes:
        size: window and transform length in samples.
        hop: step in samples; must divide ``size``.
    """

    size: int = 512
    hop: int = 128

    def __post_init__(self) -> None:
        if self.size % self.hop or self.size < 2 * self.hop:
            raise ValueError(f"hop {self.hop} must divide window {self.size} at least twice")

    @property
    def window(self) -> Audio:
        """The periodic Hann window."""
        return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.size) / self.size)).astype(np.float32)

    def frames(self, length: int) -> int:
        """Return the number of frames for ``length`` samples."""
        return -(-(length + self.size - self.hop) // self.hop)

    def forward(self, audio: Audio) -> Complex64[np.ndarray, "frame bin"]:
        """Return the spectrum; frame ``i`` is centred near sample ``i * hop - size / 2 + hop``."""
        count = self.frames(len(audio))
        padded = np.zeros((count - 1) * self.hop + self.size, dtype=np.float32)
        padded[self.size - self.hop : self.size - self.hop + len(audio)] = audio
        framed = np.lib.stride_tricks.sliding_window_view(padded, self.size)[:: self.hop]
        return fft.rfft(framed * self.window, axis=-1)

    def inverse(self, spectrum: Complex64[np.ndarray, "frame bin"], length: int) -> Audio:
        """Return the ``length`` samples whose spectrum is nearest to ``spectrum``.

        In least squares: Griffin and Lim, IEEE TASSP 1984.
        """
        framed = fft.irfft(spectrum, n=self.size, axis=-1).astype(np.float32, copy=False)
        audio = self._overlap_add(framed * self.window)
        weight = self._overlap_add(np.broadcast_to(self.window**2, framed.shape))
        start = self.size - self.hop
        span = slice(start, start + length)
        return audio[span] / np.maximum(weight[span], 1e-8)

    def _overlap_add(self, framed: Float32[np.ndarray, "frame size"]) -> Audio:
        parts = self.size // self.hop
        blocks = framed.reshape(len(framed), parts, self.hop)
        total = np.zeros((len(framed) + parts - 1, self.hop), dtype=np.float32)
        for part in range(parts):
            total[part : part + len(framed)] += blocks[:, part]
        return total.reshape(-1)


def griffin_lim(
    magnitude: Float32[np.ndarray, "frame bin"],
    stft: Stft,
    length: int,
    iterations: int,
    rng: np.random.Generator,
) -> Audio:
    """Return audio whose spectrogram approximates ``magnitude``, by fast Griffin-Lim.

    Perraudin, Balazs and Sondergaard, "A fast Griffin-Lim algorithm", WASPAA 2013.
    """
    angle = rng.uniform(-np.pi, np.pi, magnitude.shape).astype(np.float32)
    phase = np.exp(1j * angle).astype(np.complex64)
    previous = np.zeros_like(phase)
    for _ in range(iterations):
        consistent = stft.forward(stft.inverse(magnitude * phase, length))
        phase = consistent + MOMENTUM * (consistent - previous)
        phase /= np.maximum(np.abs(phase), 1e-8)
        previous = consistent
    return stft.inverse(magnitude * phase, length)


def mel_filters(bands: int, bins: int, rate: int) -> Float32[np.ndarray, "band bin"]:
    """Return triangular filters on the HTK mel scale from 0 Hz to Nyquist, peak 1."""
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0.0, top, bands + 2) / 2595) - 1)
    return triangles(edges, bins, rate).astype(np.float32)


def triangles(
    edges: Float64[np.ndarray, " edge"], bins: int, rate: int
) -> Float64[np.ndarray, "band bin"]:
    """Return triangular filters of peak 1; filter ``i`` spans ``edges[i]`` to ``edges[i + 2]``."""
    bin_hz = np.linspace(0, rate / 2, bins)
    rising = (bin_hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bin_hz) / (edges[2:] - edges[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))
