"""A detector that hears a recording in parts."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float32

from fakesound.inference.detection import Detection, FrameScores
from fakesound.scoring.clip_score import stitch
from fakesound.timeline import FrameGrid

BLOCK = 1024  # windows
Samples = Float32[np.ndarray, " sample"]
# windows to what is said of their frames, by name
Hear = Callable[
    [Float32[np.ndarray, "window sample"]], Mapping[str, Float32[np.ndarray, "window frame ..."]]
]
# what was said of all frames, by name, the duration, and whether there was sound
Conclude = Callable[[Mapping[str, np.ndarray], float], Detection]


class _Rows:
    """What was said of window after window, in a few large blocks.

    Kept one by one, such small arrays lie between the large ones that come and go, and memory grows
    by what cannot be used again around them: some 150 MB an hour of sound.
    """

    def __init__(self) -> None:
        self.blocks: list[np.ndarray] = []
        self.count = 0

    def add(self, rows: np.ndarray) -> None:
        for row in rows:
            if self.count % BLOCK == 0:
                self.blocks.append(np.empty((BLOCK, *row.shape), row.dtype))
            self.blocks[-1][self.count % BLOCK] = row
            self.count += 1

    def since(self, first: int) -> list[np.ndarray]:
        """Return the rows from ``first`` on."""
        return [self.blocks[i // BLOCK][i % BLOCK] for i in range(first, self.count)]


class Listening:
    """Takes a recording in parts of any size; what comes out does not depend on their sizes.

    Windows overlap by half, as in evaluation: each is heard as soon as it is complete, and the
    last ends where the recording does. Memory holds one batch of windows and the scores.

    Args:
        hear: windows to outputs.
        conclude: outputs to a detection.
        grid: of the frames.
        rate: samples a second.
        seconds: of a window.
        batch: windows that are heard together; more are faster, and later.
    """

    def __init__(
        self,
        hear: Hear,
        conclude: Conclude,
        grid: FrameGrid,
        rate: int,
        seconds: float,
        batch: int = 1,
    ) -> None:
        self.batch = batch
        self.hear, self.conclude, self.grid, self.rate = hear, conclude, grid, rate
        self.size, self.frames = grid.samples(rate), grid.count(seconds)
        self.step = max(1, self.frames // 2)
        self.held = np.zeros(0, np.float32)
        self.held_from = 0  # frame at which `held` begins
        self.next_start = 0
        self.samples = 0
        self.waiting: list[tuple[int, Samples]] = []
        self.starts: list[int] = []
        self.found: dict[str, _Rows] = {}
        self.final = 0  # frames already given out

    def push(self, part: Samples) -> FrameScores | None:
        """Hear the next part; return the scores of frames that have become final, if any have."""
        self.held = np.concatenate((self.held, part))
        self.samples += len(part)
        # a window is taken once there is more after it: the last one is placed by the end
        while self.samples > (self.next_start + self.frames) * self.size:
            self._take(self.next_start)
            self.next_start += self.step
            self._forget(self.next_start)
            if len(self.waiting) == self.batch:
                self._hear_waiting()
        return self._fresh()

    def finish(self) -> Detection:
        """Hear what is left and return the detection.

        Raises:
            ValueError: if there was no sample.
        """
        if not self.samples:
            raise ValueError("no samples")
        total = -(-self.samples // self.size)
        self._take(max(0, total - self.frames))
        self._hear_waiting()
        stitched = {name: stitch(parts, self.starts, total) for name, parts in self._cut(total)}
        return self.conclude(stitched, self.samples / self.rate)

    def _take(self, first: int) -> None:
        start = (first - self.held_from) * self.size
        audio = self.held[start : start + self.frames * self.size]
        self.waiting.append((first, np.pad(audio, (0, self.frames * self.size - len(audio)))))

    def _forget(self, first: int) -> None:
        # the last window may begin up to a step before the next one would
        keep = max(self.held_from, first - self.step)
        self.held = self.held[(keep - self.held_from) * self.size :]
        self.held_from = keep

    def _hear_waiting(self) -> None:
        if not self.waiting:
            return
        for name, values in self.hear(np.stack([audio for _, audio in self.waiting])).items():
            self.found.setdefault(name, _Rows()).add(values)
        self.starts += [first for first, _ in self.waiting]
        self.waiting = []

    def _cut(self, total: int) -> list[tuple[str, list[np.ndarray]]]:
        """Return the outputs of windows without frames after the end."""
        return [
            (
                name,
                [v[: total - first] for v, first in zip(rows.since(0), self.starts, strict=True)],
            )
            for name, rows in self.found.items()
        ]

    def _fresh(self) -> FrameScores | None:
        if "frame_logits" not in self.found:
            return None
        # frames before the start of the next window are in no other, but for the last window
        until = self.starts[-1] + self.frames - 2 * self.step
        if until <= self.final:
            return None
        return self._given(until)

    def _given(self, until: int) -> FrameScores:
        first = next(i for i, s in enumerate(self.starts) if s + self.frames > self.final)
        base = self.starts[first]
        starts = [s - base for s in self.starts[first:]]
        logits = stitch(self.found["frame_logits"].since(first), starts, starts[-1] + self.frames)
        part = logits[self.final - base : until - base]
        given = FrameScores(self.final * self.grid.step, self.grid.step, probabilities(part))
        self.final = until
        return given


def probabilities(logits: np.ndarray) -> Float32[np.ndarray, " frame"]:
    """Return P(fake) of logits."""
    made: Float32[np.ndarray, " frame"] = (1 / (1 + np.exp(-np.clip(logits, -30, 30)))).astype(
        np.float32
    )
    return made
