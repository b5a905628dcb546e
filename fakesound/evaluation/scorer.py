"""Scores of clips from a detector, heard as a test of a run hears them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from jaxtyping import Float32
from msgspec.structs import replace

from fakesound.augmentation.conditions import Condition, apply_condition
from fakesound.data.audio import check_audio, from_pcm, read_audio, to_pcm
from fakesound.data.dataset import window_starts
from fakesound.data.manifest import Clip
from fakesound.errors import InputError
from fakesound.metrics import ClipScore
from fakesound.models.detector import Detector
from fakesound.scoring.clip_score import score_outputs, stitch
from fakesound.timeline import FrameGrid

BATCH = 64


@dataclass(frozen=True)
class Hearing:
    """How clips are put before a detector.

    Attributes:
        grid: of its frames.
        rate: samples a second.
        seconds: length of its windows, which overlap by half.
        device: where it computes.
    """

    grid: FrameGrid
    rate: int
    seconds: float
    device: str = "cpu"


@dataclass(frozen=True)
class Window:
    """A part of a clip.

    Attributes:
        clip: number of the clip.
        first: its first frame.
        frames: of it that the clip holds.
        audio: zero after the end of the clip.
    """

    clip: int
    first: int
    frames: int
    audio: Float32[np.ndarray, " sample"]


def score_clips(
    detector: Detector,
    clips: Sequence[Clip],
    hearing: Hearing,
    fold: Callable[[Clip], str | None],
    condition: Condition | None = None,
    on_bad_audio: str = "error",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[ClipScore], list[str]]:
    """Return the scores of ``clips``, and what is wrong with audio that was left out.

    Args:
        detector: ready to score.
        clips: to score.
        hearing: how.
        fold: "seen", "unseen" or None for each clip.
        condition: what is done to the audio first; regions move with it.
        on_bad_audio: "error" stops at a file that cannot be used, "skip" leaves it out.
        progress: called with the clips done and their number.

    Raises:
        InputError: naming a file that cannot be used.
    """
    detector = detector.to(hearing.device).eval()
    heard: list[Clip] = []
    problems: list[str] = []

    def windows() -> Iterator[Window]:
        for number, clip in enumerate(clips):
            try:
                audio = _whole(clip, hearing.rate)
            except InputError as error:
                if on_bad_audio == "error":
                    raise
                problems.append(str(error))
                continue
            if condition is not None:
                audio, regions, duration = apply_condition(
                    condition, audio, hearing.rate, clip.regions, clip.clip_id
                )
                clip = replace(clip, regions=regions, duration=duration)
            heard.append(clip)
            yield from _windows(clip, audio, len(heard) - 1, hearing)
            progress(number + 1, len(clips))

    found: dict[str, dict[int, list[np.ndarray]]] = {}
    starts: dict[int, list[int]] = {}
    stream = windows()
    while batch := list(islice(stream, BATCH)):
        for window in batch:
            starts.setdefault(window.clip, []).append(window.first)
        for name, values in _hear(detector, batch, hearing.device).items():
            parts = found.setdefault(name, {})
            for window, frames in zip(batch, values, strict=True):
                parts.setdefault(window.clip, []).append(frames[: window.frames])
    counts = [hearing.grid.count(clip.duration) for clip in heard]
    stitched = {
        name: [stitch(parts[i], starts[i], count) for i, count in enumerate(counts)]
        for name, parts in found.items()
    }
    pooling, families = detector.pooling, detector.families
    return score_outputs(stitched, heard, hearing.grid, fold, pooling, families), problems


def _whole(clip: Clip, rate: int) -> Float32[np.ndarray, " sample"]:
    audio = read_audio(clip.location, rate)
    check_audio(clip, len(audio) / rate)
    return audio


def _windows(
    clip: Clip, audio: Float32[np.ndarray, " sample"], number: int, hearing: Hearing
) -> Iterator[Window]:
    size = hearing.grid.samples(hearing.rate)
    total, frames = hearing.grid.count(clip.duration), hearing.grid.count(hearing.seconds)
    # the same 16 bits that a run hears
    audio = from_pcm(to_pcm(audio[: total * size]))
    audio = np.pad(audio, (0, max(total, frames) * size - len(audio)))
    for first in window_starts(total, frames, max(1, frames // 2)):
        part = audio[first * size : (first + frames) * size]
        yield Window(number, first, min(frames, total - first), part)


@torch.no_grad()
def _hear(
    detector: Detector, batch: Sequence[Window], device: str
) -> dict[str, Float32[np.ndarray, "window frame ..."]]:
    waveform = torch.from_numpy(np.stack([window.audio for window in batch])).to(device)
    output = detector(waveform)._asdict()
    return {name: v.float().cpu().numpy() for name, v in output.items() if v is not None}
