"""Score recordings of any length in overlapping windows.

Numpy only: the caller passes the function that computes the outputs of a batch of windows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32

from fakesound.timeline import window_step

BATCH = 16  # windows per call of the detector

Samples = Float32[np.ndarray, " sample"]
# one value per frame, or several, such as one for each attack family
FrameValues = Float[np.ndarray, "_ ..."]
# from windows to their frame outputs, by their names in `fakesound.models.tasks`
Forward = Callable[
    [Float32[np.ndarray, "window sample"]], Mapping[str, Float32[np.ndarray, "window frame ..."]]
]


class Window(NamedTuple):
    """Part of a clip.

    Attributes:
        first: index of the first frame.
        audio: samples, zeros after the end of the clip.
        total: number of frames of the clip, in its last window; None in the others.
    """

    first: int
    audio: Samples
    total: int | None


def cut_windows(parts: Iterable[Samples], size: int, frames: int) -> Iterator[Window]:
    """Yield the windows of a recording; none if it has no samples.

    Windows start as in `fakesound.timeline.window_starts`, however the recording is divided into
    parts. Memory holds two windows and a part.

    Args:
        parts: consecutive samples.
        size: samples per frame.
        frames: frames per window.
    """
    step, start = window_step(frames), 0
    samples, buffer, buffer_start = 0, np.zeros(0, np.float32), 0
    for part in parts:
        buffer = np.concatenate((buffer, part))
        samples += len(part)
        # only a window with samples after its end is known not to be the last
        while samples > (start + frames) * size:
            first = (start - buffer_start) * size
            yield Window(start, buffer[first : first + frames * size], None)
            start += step
            # the last window may start up to one step earlier than the next regular one
            keep = max(buffer_start, start - step)
            buffer, buffer_start = buffer[(keep - buffer_start) * size :], keep
    if samples:
        total = -(-samples // size)
        first = max(0, total - frames)
        audio = buffer[(first - buffer_start) * size :][: frames * size]
        yield Window(first, np.pad(audio, (0, frames * size - len(audio))), total)


class OverlapAdd:
    """Average of overlapping windows, frame by frame.

    Weights are triangular: highest in the middle of a window, which has context on both sides.
    """

    def __init__(self) -> None:
        self.sums: dict[str, np.ndarray] = {}
        self.weight = np.zeros(0)

    def add(self, first: int, outputs: Mapping[str, FrameValues]) -> None:
        """Add the ``outputs`` of a window whose first frame is ``first``."""
        count = len(next(iter(outputs.values())))
        ramp = np.minimum(np.arange(1.0, count + 1), np.arange(count, 0.0, -1))
        self.weight = _add_at(self.weight, first, ramp)
        for name, values in outputs.items():
            total = self.sums.get(name, np.zeros((0, *values.shape[1:])))
            self.sums[name] = _add_at(total, first, (ramp * values.T).T)

    def average(self, frames: int) -> dict[str, FrameValues]:
        """Return the outputs of the first ``frames`` frames; a window must cover each of them."""
        weight = self.weight[:frames]
        return {name: (total[:frames].T / weight).T for name, total in self.sums.items()}


def _add_at(total: np.ndarray, first: int, part: np.ndarray) -> np.ndarray:
    """Add ``part`` to ``total`` at ``first``, growing ``total`` as needed."""
    after = first + len(part)
    if after > len(total):
        longer = np.zeros((max(after, 2 * len(total)), *part.shape[1:]))
        longer[: len(total)] = total
        total = longer
    total[first:after] += part
    return total


def score_windows(
    forward: Forward, windows: Iterable[Window], batch: int = BATCH
) -> Iterator[dict[str, FrameValues]]:
    """Yield the frame outputs of each clip as soon as its last window is scored.

    Memory holds one batch of windows and the outputs of its clips.

    Args:
        forward: function that computes the outputs of a batch of windows.
        windows: windows of one clip after another.
        batch: number of windows per batch.
    """
    overlap, waiting = OverlapAdd(), iter(windows)
    while chunk := list(islice(waiting, batch)):
        outputs = forward(np.stack([window.audio for window in chunk]))
        for index, window in enumerate(chunk):
            overlap.add(window.first, {name: values[index] for name, values in outputs.items()})
            if window.total is not None:
                yield overlap.average(window.total)
                overlap = OverlapAdd()
