"""Detections as one page to look at and listen to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fakesound.data.audio import read_audio
from fakesound.errors import InputError
from fakesound.files import write_whole
from fakesound.inference.detection import Detection
from fakesound.inference.picture import detection_figure
from fakesound.inference.writing import Result
from fakesound.report.embed import figure_uri, render, sound_uri
from fakesound.report.timelines import PlotArea, Sound, plot_area

# seconds of a recording that goes into a page with its sound; a longer one is shown by its scores
LONGEST = 600.0
RATE = 16_000


@dataclass(frozen=True)
class Shown:
    """A detection as the page shows it; ``area`` is where its picture's time axis lies."""

    path: str
    detection: Detection
    picture: str
    area: PlotArea
    audio: str | None


def write_page(
    results: Sequence[Result],
    path: Path,
    threshold: float,
    model: str,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the page of ``results`` to ``path``, whole or not at all.

    Args:
        results: of the files.
        path: of the page.
        threshold: of frames, at which a region begins.
        model: what the detector is called.
        progress: called with the recordings drawn and their number.
    """
    found = [result for result in results if result.detection is not None]
    shown = []
    for number, result in enumerate(found):
        shown.append(_shown(result, threshold))
        progress(number + 1, len(found))
    counts = {
        verdict: sum(s.detection.verdict == verdict for s in shown)
        for verdict in ("fake", "uncertain", "genuine")
    }
    context = {
        "shown": shown,
        "failed": [result for result in results if result.error is not None],
        "counts": counts,
        "threshold": threshold,
        "model": model,
        "longest": LONGEST,
    }
    write_whole(path, render("detections.html.jinja", context))


def _shown(result: Result, threshold: float) -> Shown:
    detection = result.detection
    assert detection is not None
    sound = None
    if detection.duration <= LONGEST:
        try:
            sound = Sound(read_audio(Path(result.path), RATE), RATE)
        except InputError:  # moved since, or standard input
            sound = None
    figure = detection_figure(detection, threshold, sound)
    audio = None if sound is None else sound_uri(sound)
    return Shown(result.path, detection, figure_uri(figure), plot_area(figure), audio)
