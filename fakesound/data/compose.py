"""Make partial fakes: cut regions of a fake into a genuine clip of the same length.

The forge does this once for each fixed fake, training for every crop.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int16, Shaped

from fakesound.data.samples import FULL_SCALE

Pcm = Int16[np.ndarray, " sample"]
# largest factor that brings a region to the level of the audio it replaces (12 dB)
LARGEST_GAIN = 4.0


@dataclass(frozen=True)
class Cut:
    """A span ``[start, stop)`` of samples to replace, with cross-fades of ``fade`` samples."""

    start: int
    stop: int
    fade: int = 0


def cut_in(genuine: Pcm, fake: Pcm, cuts: Sequence[Cut]) -> Pcm:
    """Return ``genuine`` with the ``cuts`` replaced from ``fake``; identical outside them.

    The fake is brought to the level of the audio it replaces, so that loudness does not reveal the
    label, and cross-faded with equal power at both ends of a cut.
    """
    mixed = genuine.copy()
    for cut in cuts:
        span = slice(cut.start, cut.stop)
        old, new = genuine[span].astype(np.float32), fake[span].astype(np.float32)
        new *= level_gain(old, new)
        if cut.fade:
            fade = min(cut.fade, len(old) // 2)
            angle = 0.5 * np.pi * (np.arange(fade, dtype=np.float32) + 0.5) / fade
            rise, fall = np.sin(angle), np.cos(angle)
            new[:fade] = rise * new[:fade] + fall * old[:fade]
            new[len(new) - fade :] = (
                rise[::-1] * new[len(new) - fade :] + fall[::-1] * old[len(new) - fade :]
            )
        mixed[span] = np.clip(np.round(new), -FULL_SCALE, FULL_SCALE - 1)
    return mixed


def level_gain(
    old: Shaped[np.ndarray, " sample"], new: Shaped[np.ndarray, " sample"]
) -> np.float32:
    """Return the factor, within 12 dB, that gives ``new`` the root mean square of ``old``.

    Both are in 16-bit units.
    """
    energy = [np.mean(np.square(part, dtype=np.float32)) + 1.0 for part in (old, new)]
    ratio = np.sqrt(energy[0] / energy[1])
    return np.float32(np.clip(ratio, 1 / LARGEST_GAIN, LARGEST_GAIN))


def draw_cuts(
    rng: np.random.Generator,
    length: int,
    rate: int,
    shortest: float = 0.04,
    longest: float | None = None,
    most: int = 3,
) -> list[Cut]:
    """Draw 1 to ``most`` cuts in ``length`` samples, at least 60 ms apart.

    Lengths lie between ``shortest`` and ``longest`` seconds (half of the clip if None). Their
    distribution is between log-uniform, with mostly very short cuts, and uniform. Half of the cuts
    have hard edges, half cross-fades of 2 to 20 ms. One cut always fits.
    """
    margin = int(0.06 * rate)
    top = min(length, length // 2 if longest is None else int(longest * rate))
    bottom = min(int(shortest * rate), top)
    cuts: list[Cut] = []
    for _ in range(int(rng.integers(1, most + 1))):
        size = round(bottom * (top / bottom) ** (rng.random() ** (2 / 3)))
        start = int(rng.integers(0, length - size + 1))
        fade = int(rng.uniform(0.002, 0.02) * rate) if rng.random() < 0.5 else 0
        if all(start >= cut.stop + margin or start + size <= cut.start - margin for cut in cuts):
            cuts.append(Cut(start, start + size, fade))
    return sorted(cuts, key=lambda cut: cut.start)
