"""Scores of clips from a detector, in the windows in which the test of a run scores them."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Float32
from msgspec.structs import replace

from fakesound.augmentation.conditions import Condition, apply_condition
from fakesound.data.audio import check_audio, read_audio
from fakesound.data.manifest import Clip
from fakesound.errors import InputError
from fakesound.metrics import ClipScore
from fakesound.models.detector import Detector
from fakesound.scoring.checkpoint import forward_of
from fakesound.scoring.clip_score import score_clip
from fakesound.scoring.windows import Window, cut_windows, score_windows
from fakesound.timeline import GRID


def score_clips(
    detector: Detector,
    clips: Sequence[Clip],
    rate: int,
    seconds: float,
    fold: Callable[[Clip], str | None] = lambda clip: None,
    device: str = "cpu",
    condition: Condition | None = None,
    on_bad_audio: str = "error",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[ClipScore], list[str]]:
    """Return the scores of ``clips``, and the faults of audio that was skipped.

    Args:
        detector: detector, ready to score.
        clips: clips to score.
        rate: sample rate of the detector in Hz.
        seconds: length of its windows.
        fold: function that returns "seen", "unseen" or None for a clip.
        device: torch device to compute on.
        condition: change of the audio before it is scored; regions move with it.
        on_bad_audio: "error" stops at a file that cannot be used, "skip" skips it.
        progress: function called with the number of clips done and of all clips.

    Raises:
        InputError: naming a file that cannot be used.
    """
    size, frames = GRID.samples(rate), GRID.count(seconds)
    waiting: deque[Clip] = deque()
    skipped: list[str] = []

    def windows() -> Iterator[Window]:
        for number, clip in enumerate(clips):
            try:
                audio = _read_whole(clip, rate)
            except InputError as error:
                if on_bad_audio == "error":
                    raise
                skipped.append(str(error))
                continue
            if condition is not None:
                audio, regions, duration = apply_condition(
                    condition, audio, rate, clip.regions, clip.clip_id
                )
                clip = replace(clip, regions=regions, duration=duration)
            waiting.append(clip)
            samples = GRID.count(clip.duration) * size
            audio = np.clip(audio[:samples], -1, 1)
            yield from cut_windows([np.pad(audio, (0, samples - len(audio)))], size, frames)
            progress(number + 1, len(clips))

    scores = []
    forward = forward_of(detector.to(device).eval(), device)
    for outputs in score_windows(forward, windows()):
        clip = waiting.popleft()
        scores.append(score_clip(clip, outputs, detector.pooling, detector.families, fold(clip)))
    return scores, skipped


def _read_whole(clip: Clip, rate: int) -> Float32[np.ndarray, " sample"]:
    audio = read_audio(clip.location, rate)
    check_audio(clip, len(audio) / rate)
    return audio
