"""Fake regions and the frame grid, in integer arithmetic.

Seconds are converted to whole microseconds first, so that floating-point errors never move a
boundary to another frame.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, isfinite

import msgspec
import numpy as np
from jaxtyping import Bool, Int

from fakesound.errors import InputError

MICROSECONDS = 1_000_000


def microseconds(seconds: float) -> int:
    """Return ``seconds`` as a whole number of microseconds."""
    return round(seconds * MICROSECONDS)


class Region(
    msgspec.Struct, frozen=True, order=True, array_like=True, forbid_unknown_fields=True, gc=False
):
    """Fake span ``[onset, offset)`` in seconds; ``[onset, offset]`` in JSON.

    Attributes:
        onset: start in seconds.
        offset: end in seconds.

    Raises:
        InputError: unless ``0 <= onset < offset``, in whole microseconds, and both are finite.
    """

    onset: float
    offset: float

    def __post_init__(self) -> None:
        # fast path: two microseconds are more than any rounding error
        if 0 <= self.onset < self.offset - 2 / MICROSECONDS < inf:
            return
        finite = isfinite(self.onset) and isfinite(self.offset)
        # a span that is empty in microseconds would overlap no frame
        ordered = finite and microseconds(self.onset) < microseconds(self.offset)
        if not (ordered and self.onset >= 0):
            raise InputError(
                f"region [{self.onset}, {self.offset}]: needs 0 <= onset < offset, in seconds"
            )

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.offset - self.onset


def merge_regions(regions: Iterable[Region]) -> list[Region]:
    """Return the union of ``regions``, sorted; overlapping and touching regions are merged."""
    merged: list[Region] = []
    for region in sorted(regions):
        if merged and microseconds(region.onset) <= microseconds(merged[-1].offset):
            merged[-1] = Region(merged[-1].onset, max(merged[-1].offset, region.offset))
        else:
            merged.append(region)
    return merged


@dataclass(frozen=True)
class FrameGrid:
    """Frames of equal length that cover a clip from its start.

    Frame ``i`` spans ``[i * step, (i + 1) * step)``; the last one may end after the clip. A frame
    is fake if a region overlaps it, the rule of sed_eval's segments (Mesaros et al. 2016), with
    which FakeSound is scored.

    Attributes:
        step_us: length of a frame in microseconds.
    """

    step_us: int = 20_000

    def __post_init__(self) -> None:
        if self.step_us <= 0:
            raise InputError(f"frame step {self.step_us} us: must be positive")

    @classmethod
    def from_seconds(cls, step: float) -> "FrameGrid":
        """Return the grid whose frames last ``step`` seconds."""
        if not isfinite(step):
            raise InputError(f"frame step {step} s: must be a finite number of seconds")
        return cls(microseconds(step))

    @property
    def step(self) -> float:
        """Length of a frame in seconds."""
        return self.step_us / MICROSECONDS

    def samples(self, sample_rate: int) -> int:
        """Return the number of samples in a frame at ``sample_rate``.

        Raises:
            InputError: if a frame is not a whole number of samples.
        """
        samples, rest = divmod(self.step_us * sample_rate, MICROSECONDS)
        if rest:
            raise InputError(f"frames of {self.step} s at {sample_rate} Hz: not whole samples")
        return samples

    def count(self, duration: float) -> int:
        """Return the number of frames that cover ``duration`` seconds."""
        return -(-microseconds(duration) // self.step_us)

    def span(self, region: Region) -> tuple[int, int]:
        """Return the first frame that ``region`` overlaps, and the frame after the last one."""
        onset, offset = microseconds(region.onset), microseconds(region.offset)
        return onset // self.step_us, -(-offset // self.step_us)

    def targets(self, regions: Sequence[Region], count: int) -> Bool[np.ndarray, " count"]:
        """Return which of the first ``count`` frames are fake."""
        fake = np.zeros(count, dtype=bool)
        for region in regions:
            first, after = self.span(region)
            fake[first:after] = True
        return fake

    def regions(
        self, fake: Bool[np.ndarray, " count"], duration: float | None = None
    ) -> list[Region]:
        """Return the runs of fake frames as regions, which end at ``duration`` at the latest."""
        edges = np.flatnonzero(np.diff(np.concatenate(([False], fake, [False])).astype(np.int8)))
        end = len(fake) * self.step_us if duration is None else microseconds(duration)
        spans = (edges.reshape(-1, 2) * self.step_us).tolist()
        return [
            Region(onset / MICROSECONDS, min(offset, end) / MICROSECONDS)
            for onset, offset in spans
            if onset < end
        ]


# frame grid of all models
GRID = FrameGrid()


def window_step(window: int) -> int:
    """Return the number of frames between the starts of windows: three quarters of a window."""
    return max(1, 3 * window // 4)


def window_starts(counts: Sequence[int], window: int) -> Int[np.ndarray, "window 2"]:
    """Return clip index and first frame of the windows that cover clips of ``counts`` frames.

    The last window of a clip ends with the clip; a clip shorter than a window has one window.
    """
    step = window_step(window)
    last = np.maximum(np.array(counts, dtype=int) - window, 0)
    windows = -(-last // step) + 1
    clip = np.repeat(np.arange(len(last)), windows)
    index = np.arange(windows.sum()) - np.repeat(np.cumsum(windows) - windows, windows)
    return np.stack((clip, np.minimum(index * step, last[clip])), axis=1)
