"""An example as a page shows it: its timeline, its audio, and what was said of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from fakesound.report import wording
from fakesound.report.embed import figure_uri, sound_uri
from fakesound.report.examples import Example, clip_f1
from fakesound.report.run_folder import RunResults
from fakesound.report.timelines import (
    PlotArea,
    found_regions,
    plot_area,
    read_sound,
    timeline,
)
from fakesound.timeline import Region, merge_regions

SPANS = 6  # regions of a clip that are listed


@dataclass(frozen=True)
class Shown:
    """An example as the page shows it.

    Attributes:
        example: the clip, and why it is shown.
        verdict: what was said of it.
        right: whether that is so.
        f1: segment F1 of the clip alone.
        truth: its fake parts in words.
        found: the parts that were marked, in words; None without frame scores.
        picture: its timeline as a data URI; None if there is nothing to draw.
        area: where the picture's time axis lies.
        audio: as a data URI; None if it cannot be read.
    """

    example: Example
    verdict: str
    right: bool
    f1: float | None
    truth: str
    found: str | None
    picture: str | None
    area: PlotArea | None
    audio: str | None


def shown(example: Example, results: RunResults) -> Shown:
    """Return ``example`` with its picture, and with its audio where it can be read."""
    clip = example.clip
    sound = read_sound(results.clips.get(clip.clip_id))
    picture = area = None
    if sound is not None or clip.frame_scores.size:
        figure = timeline(clip, sound)
        picture, area = figure_uri(figure), plot_area(figure)
    called = clip.score > clip.clip_threshold
    return Shown(
        example=example,
        verdict="called fake" if called else "called genuine",
        right=called == clip.fake,
        f1=clip_f1(clip),
        truth=_spans(merge_regions(clip.regions)),
        found=_spans(found_regions(clip)) if clip.frame_scores.size else None,
        picture=picture,
        area=area,
        audio=None if sound is None else sound_uri(sound),
    )


def _spans(regions: Sequence[Region]) -> str:
    spans = [f"{region.onset:.2f}{wording.DASH}{region.offset:.2f}" for region in regions[:SPANS]]
    more = f" and {len(regions) - SPANS} more" if len(regions) > SPANS else ""
    return f"{', '.join(spans)} s{more}" if spans else "nothing"
