"""Read the score files of one detector and check them against the manifest."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fakesound.data.manifest import Clip
from fakesound.errors import InputError
from fakesound.evaluation.converters import CLAIMS, read_rows
from fakesound.evaluation.join_manifest import join_manifest
from fakesound.evaluation.score_rows import ScoreFormat
from fakesound.metrics import ClipScore, has_frames, read_scores

OURS = ScoreFormat()


def read_score_files(
    paths: Sequence[Path],
    clips: Sequence[Clip] | None = None,
    score_format: ScoreFormat = OURS,
    allow_missing: bool = False,
) -> tuple[list[ClipScore], list[str]]:
    """Return the scores of all files together, and warnings about them.

    Each clip needs a score and each score a clip, unless ``allow_missing`` skips those without. If
    ``clips`` is None, the files must be in jsonl format with labels. A genuine clip with the same
    score in several files counts once.

    Raises:
        InputError: naming the file, the row and the field or the clip, and the fix.
    """
    if clips is None and score_format.name != "jsonl":
        raise InputError(
            f"{paths[0]}: the format {score_format.name} has no labels; give them with --manifest"
        )
    by_file, unknown = [], 0
    for path in paths:
        if clips is None:
            scores = read_scores(path)
        else:
            rows = read_rows(path, score_format, {clip.clip_id for clip in clips})
            scores = join_manifest(rows, clips, allow_missing)
            unknown += len(rows) - len(scores)
        by_file.append((path, scores))
    pooled, repeated = _pool(by_file)
    names = ", ".join(map(str, paths))
    clips = clips or ()
    missing = [clip.clip_id for clip in clips if clip.clip_id not in pooled]
    if missing and not (allow_missing and pooled):
        raise InputError(
            f"{names}: no score for clip {missing[0]!r} ({len(missing)} of {len(clips)} clips have "
            "none); score them, or skip them with --allow-missing"
        )
    try:
        has_frames(list(pooled.values()))
    except InputError as error:
        raise InputError(f"{names}, {error}") from None
    counts = (
        (len(missing), f"of {len(clips)} clips have no score and are skipped"),
        (unknown, "of the scores belong to no clip of a manifest and are skipped"),
        (repeated, "of the scores repeat a genuine clip of another file and count once"),
    )
    return list(pooled.values()), [f"{count} {text}" for count, text in counts if count]


def warnings_of(scores: Sequence[ClipScore]) -> list[str]:
    """Return facts about the clips that limit the meaning of the metrics.

    Without a genuine clip of the same source, a detector may recognise the recording of a fake
    instead of the attack. Without clips of one class, metrics of detection are undefined.
    """
    texts = []
    genuine = {score.source_id for score in scores if not score.fake}
    fakes = [score for score in scores if score.fake]
    lone = [score.clip_id for score in fakes if score.source_id not in genuine]
    if lone and genuine:
        texts.append(
            f"{len(lone)} of {len(fakes)} fakes, such as {lone[0]!r}, have no genuine clip of the "
            "same source: a detector may recognise the recording instead of the attack"
        )
    for count, word in ((len(fakes), "fake"), (len(scores) - len(fakes), "genuine")):
        if not count:
            texts.append(f"no clip is {word}: AUC, EER and detection costs are undefined")
    if not has_frames(scores):
        texts.append("no clip has frame scores: metrics of localisation are undefined")
    return texts


def _pool(by_file: Sequence[tuple[Path, Sequence[ClipScore]]]) -> tuple[dict[str, ClipScore], int]:
    """Return the scores of all files by clip, and the number of repeated ones."""
    pooled: dict[str, ClipScore] = {}
    origin: dict[str, Path] = {}
    repeated = 0
    for path, scores in by_file:
        for score in scores:
            first = pooled.setdefault(score.clip_id, score)
            if origin.setdefault(score.clip_id, path) is not path:
                where = f"{path}, clip_id: {score.clip_id!r} is in {origin[score.clip_id]} too"
                _check_repeated(score, first, where)
                repeated += 1
    return pooled, repeated


def _check_repeated(score: ClipScore, first: ClipScore, where: str) -> None:
    if score.fake or first.fake:
        raise InputError(f"{where}; only genuine clips may be repeated, so drop one of them")
    keys = (*CLAIMS, "logit", "frame_step")
    differs = [key for key in keys if getattr(score, key) != getattr(first, key)]
    if not np.array_equal(score.frame_scores, first.frame_scores):
        differs.append("frame_scores")
    if differs:
        raise InputError(f"{where}, with another {differs[0]}; evaluate the files apart")
