"""Write detections as one HTML page with waveforms, scores and audio."""

from collections.abc import Callable, Sequence
from pathlib import Path

import soundfile

from fakesound.errors import shown
from fakesound.files import write_whole
from fakesound.inference.detection import Detection
from fakesound.inference.formats import Result
from fakesound.inference.record import Record
from fakesound.report import formatting
from fakesound.report.clip_view import ClipContent, Relevance, Sound, read_sound
from fakesound.report.recording_view import (
    RecordingView,
    score_fields,
    sound_fields,
    wavesurfer,
)
from fakesound.report.style import render
from fakesound.timeline import Region

LONGEST = 600.0  # seconds; of longer recordings only the scores are shown
RATE = 16_000
LABELS = {"fake": "flagged", "uncertain": "uncertain", "genuine": "not flagged"}


def write_page(
    results: Sequence[Result],
    path: Path,
    record: Record,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the page of ``results`` to ``path`` atomically.

    Args:
        results: result of each file.
        path: HTML file to write.
        record: versions, model and settings.
        progress: function called with the number of recordings drawn and their total.
    """
    detections = [
        (result.path, result.detection) for result in results if result.detection is not None
    ]
    views = []
    for number, (name, detection) in enumerate(detections):
        views.append(recording_view(Path(name), detection, record))
        progress(number + 1, len(detections))
    context = page_context(views, record) | {
        "failed": [(each.path, each.error) for each in results if each.error is not None]
    }
    write_whole(path, render("detections.html.jinja", context))


def page_context(views: Sequence[RecordingView], record: Record) -> dict[str, object]:
    """Return the context of the templates for detections.

    Args:
        views: views of the recordings.
        record: versions, model and settings.
    """
    return {
        "views": views,
        "counts": {each: sum(view.verdict == each for view in views) for each in LABELS},
        "labels": LABELS,
        "failed": [],
        "record": record,
        "longest": LONGEST,
        "wavesurfer": wavesurfer(),
        "fmt": formatting,
        "interval": lambda block, key: None,
    }


def recording_view(path: Path, detection: Detection, record: Record) -> RecordingView:
    """Return the view of one file.

    Args:
        path: file of the recording.
        detection: detection of the file.
        record: versions, model and settings.
    """
    sound = read_sound(path, RATE) if detection.duration <= LONGEST else None
    facts = {"duration": f"{detection.duration:.2f} s"}
    # a fact only about a fake
    if detection.verdict == "fake" and detection.attack_family:
        facts["most similar attacks"] = detection.similar_to
    facts |= _file_facts(path)
    if detection.sha256:
        facts["SHA-256"] = detection.sha256
    scores, scored = score_fields(detection.frame_scores, detection.frame_step)
    return RecordingView(
        name=shown(path.name),
        path=shown(str(path)),
        verdict=detection.verdict,
        whole=detection.verdict == "fake" and detection.kind == "whole",
        score=detection.score,
        even_score=detection.probability(0.5),
        facts=facts,
        notes=detection.notes,
        regions=detection.regions,
        duration=detection.duration,
        threshold=record.frame_threshold,
        scores=scores,
        scored=scored,
        **sound_fields(sound),  # type: ignore[arg-type]  # each of its field's type
    )


def detection_content(
    detection: Detection, threshold: float, sound: Sound | None, relevance: Relevance | None = None
) -> ClipContent:
    """Return the content of the picture of ``detection``."""
    return ClipContent(
        duration=detection.duration,
        sound=sound,
        frame_scores=detection.frame_scores,
        frame_step=detection.frame_step,
        threshold=threshold,
        found=[Region(region.onset, region.offset) for region in detection.regions],
        relevance=relevance,
    )


def _file_facts(path: Path) -> dict[str, str]:
    """Return format and channels of a file; empty if libsndfile cannot read it."""
    try:
        with path.open("rb") as file:
            info = soundfile.info(file)
    except (OSError, soundfile.LibsndfileError):
        return {}
    channels = {1: "mono", 2: "stereo"}.get(info.channels, f"{info.channels} channels")
    return {"file": f"{info.format} {info.subtype}, {info.samplerate:,} Hz, {channels}"}
