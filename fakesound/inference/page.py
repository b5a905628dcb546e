"""Detections as one HTML page with pictures and audio."""

from collections.abc import Callable, Sequence
from pathlib import Path

from fakesound.errors import shown
from fakesound.files import write_whole
from fakesound.inference.detection import Detection
from fakesound.inference.record import Record
from fakesound.inference.writing import Result
from fakesound.report import formatting
from fakesound.report.clip_view import (
    ClipContent,
    ClipView,
    Relevance,
    Sound,
    clip_view,
    read_sound,
    spans,
)
from fakesound.report.style import render
from fakesound.timeline import Region

# longer recordings are shown by their scores alone
LONGEST = 600.0  # seconds
RATE = 16_000


def write_page(
    results: Sequence[Result],
    path: Path,
    record: Record,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the page of ``results`` to ``path`` atomically.

    Args:
        results: results of the files.
        path: HTML file to write.
        record: versions, model and settings.
        progress: called with the number of recordings drawn and their total.
    """
    rows = []
    found = [(result.path, result.detection) for result in results if result.detection is not None]
    for number, (name, detection) in enumerate(found):
        rows.append((_view(name, detection, record.frame_threshold), detection))
        progress(number + 1, len(found))
    context: dict[str, object] = {
        "rows": rows,
        "views": [view for view, _ in rows],
        "failed": [result for result in results if result.error is not None],
        "counts": {
            verdict: sum(detection.verdict == verdict for _, detection in rows)
            for verdict in ("fake", "uncertain", "genuine")
        },
        "record": record,
        "longest": LONGEST,
        "fmt": formatting,
        "interval": lambda block, key: None,
    }
    write_whole(path, render("detections.html.jinja", context))


def detection_content(
    detection: Detection, threshold: float, sound: Sound | None, relevance: Relevance | None = None
) -> ClipContent:
    """Return what a picture of ``detection`` shows."""
    return ClipContent(
        duration=detection.duration,
        sound=sound,
        frame_scores=detection.frame_scores,
        frame_step=detection.frame_step,
        threshold=threshold,
        found=[Region(region.onset, region.offset) for region in detection.regions],
        relevance=relevance,
    )


def _view(path: str, detection: Detection, threshold: float) -> ClipView:
    short = detection.duration <= LONGEST
    sound = read_sound(Path(path), RATE) if short else None
    content = detection_content(detection, threshold, sound)
    facts = {
        "score": formatting.number(detection.score),
        "duration": f"{detection.duration:.2f} s",
    }
    if detection.attack_family:
        facts["closest family"] = detection.attack_family
    if content.found:
        facts["fake parts"] = spans(content.found)
    if detection.notes:
        facts["notes"] = "; ".join(detection.notes)
    if detection.sha256:
        facts["SHA-256"] = detection.sha256
    name = shown(path)
    return clip_view(content, Path(name).name, name, facts, detection.verdict)
