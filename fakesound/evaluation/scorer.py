"""Score labelled clips with a detector, in the same windows as the test of a run."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32
from msgspec.structs import replace
from torch.utils.data import DataLoader, Dataset

from fakesound.augmentation.conditions import Condition, apply_condition
from fakesound.data.audio import check_audio, read_audio
from fakesound.data.manifest import Clip
from fakesound.errors import InputError
from fakesound.metrics import ClipScore
from fakesound.models.detector import Detector
from fakesound.provenance import usable_cores
from fakesound.scoring.checkpoint import forward_of
from fakesound.scoring.clip_score import score_clip
from fakesound.scoring.windows import Window, cut_windows, score_windows
from fakesound.timeline import GRID

MAX_WORKERS = 4  # processes that apply conditions


def score_clips(
    detector: Detector,
    clips: Sequence[Clip],
    rate: int,
    seconds: float,
    **settings: Any,  # noqa: ANN401  # those of `score_conditions`
) -> tuple[list[ClipScore], list[str]]:
    """Score unchanged ``clips``; see `score_conditions`."""
    (scores,), skipped = score_conditions((None,), detector, clips, rate, seconds, **settings)
    return scores, skipped


def score_conditions(
    conditions: Sequence[Condition | None],
    detector: Detector,
    clips: Sequence[Clip],
    rate: int,
    seconds: float,
    fold: Callable[[Clip], str | None] = lambda clip: None,
    device: str = "cpu",
    on_bad_audio: str = "error",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[list[ClipScore]], list[str]]:
    """Score ``clips`` under each condition; return the scores and the errors of skipped clips.

    Each clip is decoded once, in a worker process that applies all conditions to it.

    Args:
        conditions: degradations of the audio, which also move regions; None for unchanged audio.
        detector: trained detector.
        clips: clips to score.
        rate: sample rate of the detector in Hz.
        seconds: length of the detector's windows.
        fold: function that returns "seen", "unseen" or None for a clip.
        device: torch device.
        on_bad_audio: "error" to raise at a file that cannot be used, "skip" to skip it.
        progress: function called with the number of scored clips and their total.

    Raises:
        InputError: naming a file that cannot be used.
    """
    size, frames = GRID.samples(rate), GRID.count(seconds)
    waiting: deque[tuple[int, Clip]] = deque()
    skipped: list[str] = []
    workers = 0 if conditions == (None,) else min(MAX_WORKERS, max(1, usable_cores() - 1))
    loader = DataLoader(
        _Variants(clips, conditions, rate),
        batch_size=None,
        collate_fn=_identity,
        num_workers=workers,
    )

    def windows() -> Iterator[Window]:
        for number, variants in enumerate(loader):
            if isinstance(variants, InputError):
                if on_bad_audio == "error":
                    raise variants
                skipped.append(str(variants))
                continue
            for condition, (clip, audio) in enumerate(variants):
                waiting.append((condition, clip))
                samples = GRID.count(clip.duration) * size
                audio = np.clip(audio[:samples], -1, 1)
                yield from cut_windows([np.pad(audio, (0, samples - len(audio)))], size, frames)
            progress(number + 1, len(clips))

    scores: list[list[ClipScore]] = [[] for _ in conditions]
    forward = forward_of(detector.to(device).eval(), device)
    for outputs in score_windows(forward, windows()):
        condition, clip = waiting.popleft()
        scored = score_clip(clip, outputs, detector.pooling, detector.families, fold(clip))
        scores[condition].append(scored)
    return scores, skipped


class _Variant(NamedTuple):
    clip: Clip
    audio: Float32[np.ndarray, " sample"]


class _Variants(Dataset[list[_Variant] | InputError]):
    """Each clip under all conditions, or the error that its audio raised."""

    def __init__(
        self, clips: Sequence[Clip], conditions: Sequence[Condition | None], rate: int
    ) -> None:
        self.clips, self.conditions, self.rate = clips, conditions, rate

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> list[_Variant] | InputError:
        clip = self.clips[index]
        try:
            audio = read_audio(clip.location, self.rate)
            check_audio(clip, len(audio) / self.rate)
        except InputError as error:
            return error
        variants = []
        for condition in self.conditions:
            changed, degraded = audio, clip
            if condition is not None:
                changed, regions, duration = apply_condition(
                    condition, audio, self.rate, clip.regions, clip.clip_id
                )
                degraded = replace(clip, regions=regions, duration=duration)
            variants.append(_Variant(degraded, changed))
        return variants


def _identity(variants: list[_Variant] | InputError) -> list[_Variant] | InputError:
    return variants
