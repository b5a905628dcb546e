"""Choose example clips for a report by fixed rules."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fakesound.metrics import ClipScore, has_frames, segment_f1
from fakesound.report.clip_view import (
    LONGEST,
    ClipContent,
    clip_figure,
    clip_sound,
    figure_uri,
    plot_area,
    sound_uri,
    spans,
)
from fakesound.report.formatting import number
from fakesound.report.run_results import STEP, RunResults, shown_parts

# kinds by priority: with few examples, the last kinds are omitted
KINDS = ("typical", "missed", "best", "alarm", "genuine")
ORDER = ("best", "typical", "missed", "alarm", "genuine")


@dataclass(frozen=True)
class Example:
    """Clip and the rule that chose it."""

    clip: ClipScore
    why: str


@dataclass(frozen=True)
class ClipView:
    """Picture and player of a clip for a page.

    Attributes:
        title: heading.
        subtitle: second line: attack and id.
        facts: name and value of each fact above the picture.
        picture: data URI; None if there is nothing to draw.
        alt: description of the picture.
        area: position of its time axis, see `plot_area`.
        audio: data URI; None if the audio cannot be read.
        verdict: "fake" or "genuine".
        wrong: whether the verdict is wrong.
    """

    title: str
    subtitle: str
    facts: Mapping[str, str]
    picture: str | None
    alt: str
    area: Mapping[str, float] | None
    audio: str | None
    verdict: str
    wrong: bool


def pick_examples(results: RunResults, count: int) -> list[Example]:
    """Choose up to ``count`` test clips.

    From the unseen fakes (from all fakes if none is unseen): the best localised, typical ones of
    different attacks, and the one with the lowest score. From the genuine clips: the one with the
    highest score, and a typical one. The choice is deterministic.
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

    def take(kind: str) -> None:
        taken = {clip.clip_id for _, clip in chosen}
        left = [clip for clip in pools[kind] if clip.clip_id not in taken]
        if kind == "typical":
            attacks = [clip.attack for _, clip in chosen]
            left.sort(key=lambda clip: attacks.count(clip.attack))
        if left and len(chosen) < count:
            chosen.append((kind, left[0]))

    for kind in KINDS:
        take(kind)
    for _ in range(count - len(chosen)):
        take("typical")
    return [
        Example(clip, _why(kind, clip, frames))
        for kind, clip in sorted(chosen, key=lambda item: ORDER.index(item[0]))
    ]


def choose_clips(results: RunResults, count: int) -> list[ClipScore]:
    """Choose ``count`` test clips with audio: half with the worst scores, half at random."""
    clips = sorted(
        (clip for clip in results.test_scores if clip.clip_id in results.clips),
        key=lambda clip: (clip.logit if clip.fake else -clip.logit, clip.clip_id),
    )
    worst = clips[: count // 2]
    rest = clips[count // 2 :]
    drawn = np.random.default_rng(0).permutation(len(rest))[: count - len(worst)]
    return [*worst, *(rest[index] for index in sorted(drawn))]


def example_view(example: Example, results: RunResults) -> ClipView:
    """Return the view of ``example``, with audio if it can be read."""
    clip = example.clip
    content = ClipContent.of_score(clip, clip_sound(results, clip.clip_id))
    verdict = "fake" if clip.score > clip.clip_threshold else "genuine"
    facts = {"score": number(clip.score)}
    if clip.fake:
        facts["fake"] = spans(content.truth or ())
    if clip.frame_scores.size:
        facts["marked"] = spans(content.found)
    if (f1 := clip_f1(clip)) is not None:
        facts["segment F1"] = number(f1)
    if clip.duration > LONGEST:
        facts["shown"] = f"the first {LONGEST:.0f} of {clip.duration:.0f} s"
    figure = clip_figure(content)
    return ClipView(
        title=example.why,
        subtitle=f"{clip.attack or 'genuine'} · {clip.clip_id}",
        facts=facts,
        picture=None if figure is None else figure_uri(figure),
        alt=f"{example.why}; called fake: {spans(content.found)}",
        area=None if figure is None else plot_area(figure),
        audio=None if content.sound is None else sound_uri(content.sound),
        verdict=verdict,
        wrong=(verdict == "fake") != clip.fake,
    )


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
        return "Worst false alarm" if called else "Genuine clip with the highest score"
    return "Typical fake" if kind == "typical" else "Typical genuine clip"
