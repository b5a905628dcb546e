"""Which clips to show: by rule, so that nobody picks them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fakesound.metrics import ClipScore, has_frames, segment_f1
from fakesound.report.parts import STEP, shown_parts
from fakesound.report.run_folder import RunResults

# the order in which kinds are given up where there is room for few examples, last first
KINDS = ("typical", "missed", "best", "alarm", "genuine")
ORDER = ("best", "typical", "missed", "alarm", "genuine")


@dataclass(frozen=True)
class Example:
    """A clip that is shown.

    Attributes:
        clip: its scores.
        why: the rule that picked it.
    """

    clip: ClipScore
    why: str


def pick_examples(results: RunResults, count: int) -> list[Example]:
    """Return ``count`` clips of the test, or fewer if there are not so many.

    Of the unseen fakes (of all of them where no attack is unseen): the best localised, those
    around the median, the one with the lowest score. Of the genuine clips: the one with the
    highest score, and the one in the middle. The same results give the same clips.
    """
    part = shown_parts(results)[0]
    frames = has_frames(part.scores)
    fakes = sorted((clip for clip in part.scores if clip.fake), key=_quality(frames))
    genuines = sorted((clip for clip in part.scores if not clip.fake), key=_by_score)
    pools: dict[str, Sequence[ClipScore]] = {
        "best": fakes[::-1],
        "typical": _from_middle(fakes),
        "missed": sorted(fakes, key=_by_score),
        "alarm": genuines[::-1],
        "genuine": _from_middle(genuines),
    }
    chosen: list[tuple[str, ClipScore]] = []
    taken: set[str] = set()

    def take(kind: str) -> None:
        clip = next((clip for clip in pools[kind] if clip.clip_id not in taken), None)
        if clip is not None and len(chosen) < count:
            chosen.append((kind, clip))
            taken.add(clip.clip_id)

    for kind in KINDS:
        take(kind)
    # what room is left shows what is usual
    for _ in range(count - len(chosen)):
        take("typical")
    return [
        Example(clip, _why(kind, clip, frames))
        for kind, clip in sorted(chosen, key=lambda item: ORDER.index(item[0]))
    ]


def choose_clips(results: RunResults, count: int) -> list[ClipScore]:
    """Return ``count`` test clips whose audio is known: half the worst scored, half at random."""
    clips = sorted(
        (clip for clip in results.test_scores if clip.clip_id in results.clips),
        key=lambda clip: (clip.logit if clip.fake else -clip.logit, clip.clip_id),
    )
    worst = clips[: count // 2]
    rest = clips[count // 2 :]
    drawn = np.random.default_rng(0).permutation(len(rest))[: count - len(worst)]
    return [*worst, *(rest[index] for index in sorted(drawn))]


def clip_f1(clip: ClipScore) -> float | None:
    """Return the segment F1 at 20 ms of one clip; None without fake parts or frame scores."""
    return segment_f1([clip], STEP) if clip.frame_scores.size else None


def _quality(frames: bool) -> Callable[[ClipScore], tuple[float, float, str]]:
    def key(clip: ClipScore) -> tuple[float, float, str]:
        f1 = clip_f1(clip) if frames else None
        return (0.0 if f1 is None else f1, clip.logit, clip.clip_id)

    return key


def _by_score(clip: ClipScore) -> tuple[float, str]:
    return clip.logit, clip.clip_id


def _from_middle(clips: Sequence[ClipScore]) -> list[ClipScore]:
    """Return ``clips``, those nearest the middle first."""
    middle = (len(clips) - 1) / 2
    return [clips[i] for i in sorted(range(len(clips)), key=lambda i: (abs(i - middle), i))]


def _why(kind: str, clip: ClipScore, frames: bool) -> str:
    called = clip.score > clip.clip_threshold
    if kind == "best":
        return "Best localised fake" if frames else "Fake with the highest score"
    if kind == "missed":
        return "Fake with the lowest score" if called else "Worst miss"
    if kind == "alarm":
        return "Worst false alarm" if called else "Genuine clip nearest to a false alarm"
    return "Typical fake" if kind == "typical" else "Typical genuine clip"
