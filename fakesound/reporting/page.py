"""The report of a run: one HTML file with pictures and audio inside."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fakesound.reporting import wording
from fakesound.reporting.attack_figure import attack_figure
from fakesound.reporting.embed import figure_uri, render, sound_uri
from fakesound.reporting.examples import Example, clip_f1, pick_examples
from fakesound.reporting.figures import det_figure, reliability_figure, training_figure
from fakesound.reporting.files import write_whole
from fakesound.reporting.glossary import ALL_FIGURES, CLIP_FIGURES, FRAME_FIGURES, Figure
from fakesound.reporting.parts import (
    Part,
    attack_results,
    interval,
    known,
    shown_parts,
    validation_part,
)
from fakesound.reporting.run_folder import RunResults
from fakesound.reporting.timelines import (
    LONGEST,
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


def write_report(results: RunResults, path: Path, examples: int) -> None:
    """Write the report of a run to ``path``, whole or not at all.

    Args:
        results: of the run.
        path: of the HTML file.
        examples: number of clips to look at and listen to.
    """
    tests, validation = shown_parts(results), validation_part(results)
    parts = tests if validation is None else [*tests, validation]
    attacks = attack_results(results)
    folds = {part.name: part.scores for part in tests}
    figures = {
        "attacks": attack_figure(attacks),
        "det": det_figure(folds),
        "reliability": reliability_figure(folds),
        "training": training_figure(results.epochs),
    }
    provenance = dict(results.metrics.get("provenance", {}))
    context = {
        "name": results.config.get("name") or results.folder.name,
        "headline": wording.headline(results),
        "summary": wording.summary(results),
        "official": results.config.get("split", {}).get("name") == "official",
        "inner": sorted({a.name for a in attacks if a.fold is None}) if len(tests) > 1 else [],
        "parts": parts,
        "tables": _tables(parts),
        "every_figure": [
            figure for figure in ALL_FIGURES if known([p.block for p in parts], figure.key)
        ],
        "attacks": attacks,
        "attack_figures": _defined((*CLIP_FIGURES, *FRAME_FIGURES), [a.block for a in attacks]),
        "audit": results.metrics.get("audit"),
        "figures": {name: figure_uri(fig) for name, fig in figures.items() if fig is not None},
        "examples": [_shown(example, results) for example in pick_examples(results, examples)],
        "thresholds": results.metrics.get("thresholds"),
        "longest": LONGEST,
        "command": _command(results),
        "commit": (provenance.get("git") or {}),
        "provenance": flattened(provenance),
        "configuration": yaml.safe_dump(dict(results.config), sort_keys=False),
        "interval": interval,
        "number": wording.number,
        "percent": wording.percent,
        "listed": wording.listed,
    }
    write_whole(path, render("run.html.jinja", context))


def flattened(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested ``values`` as text under keys joined by dots."""
    flat: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flattened(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            flat[f"{prefix}{key}"] = ", ".join(str(item) for item in value) or "none"
        else:
            flat[f"{prefix}{key}"] = "none" if value is None else str(value)
    return flat


def _tables(parts: Sequence[Part]) -> list[tuple[str, list[Figure]]]:
    blocks = [part.block for part in parts]
    tables = [
        ("Is the clip fake?", _defined(CLIP_FIGURES, blocks)),
        ("Which parts are fake?", _defined(FRAME_FIGURES, blocks)),
    ]
    return [(title, figures) for title, figures in tables if figures]


def _defined(figures: Sequence[Figure], blocks: Sequence[Mapping[str, Any]]) -> list[Figure]:
    return [figure for figure in figures if known(blocks, figure.key)]


def _shown(example: Example, results: RunResults) -> Shown:
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


def _command(results: RunResults) -> str | None:
    if results.overrides is None:
        return None
    # a finished run would be found again instead of done again
    arguments = [text for text in results.overrides if not text.startswith("resume=")]
    return shlex.join(["python", "-m", "fakesound.run", *arguments])
