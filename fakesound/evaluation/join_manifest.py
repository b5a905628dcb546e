"""Join the scores of a detector with the labels in the manifest."""

from collections.abc import Sequence

import numpy as np

from fakesound.data.manifest import Clip
from fakesound.errors import InputError
from fakesound.evaluation.score_rows import ScoreRow
from fakesound.metrics import ClipScore
from fakesound.metrics.scores import REGION_TOLERANCE
from fakesound.timeline import FrameGrid, Region, merge_regions, microseconds

TAIL = 100_000  # microseconds by which frames may end before or after the clip


def join_manifest(
    rows: Sequence[ScoreRow], clips: Sequence[Clip], allow_missing: bool = False
) -> list[ClipScore]:
    """Return the scores of ``rows`` with the labels of ``clips``, in the order of the rows.

    Convolutional front ends drop up to two frames at the end of a clip: up to 100 ms are filled
    with the last score, and frames after the end are dropped. Rows of unknown clips are skipped
    with ``allow_missing``.

    Raises:
        InputError: naming the file, the row and the field, for an unknown clip, for a row that
            contradicts the manifest, and for frames that do not fit the clip.
    """
    by_id = {clip.clip_id: clip for clip in clips}
    scores = []
    for row in rows:
        clip = by_id.get(row.clip_id)
        if clip is None and allow_missing:
            continue
        if clip is None:
            raise InputError(
                f"{row.where}, clip_id: {row.clip_id!r} is in no manifest; add its row, or skip "
                "such scores with --allow-missing"
            )
        _check_claims(row, clip)
        try:
            scores.append(_clip_score(row, clip))
        except InputError as error:
            raise InputError(f"{row.where}, {error}") from None
    return scores


def _clip_score(row: ScoreRow, clip: Clip) -> ClipScore:
    frames = row.frame_scores
    grid = FrameGrid.from_seconds(row.frame_step)
    expected = grid.count(clip.duration)
    if frames.size and abs(frames.size - expected) * grid.step_us <= TAIL:
        frames = np.pad(frames, (0, max(0, expected - frames.size)), mode="edge")[:expected]
    return ClipScore.of(
        clip,
        row.score,
        logit=row.logit,
        frame_step=row.frame_step,
        frame_scores=frames,
        **row.extra,
    )


def _check_claims(row: ScoreRow, clip: Clip) -> None:
    for key, claim in row.claims.items():
        truth = getattr(clip, key)
        if key == "regions":
            agrees = _agree(claim, clip.regions)
            truth = [[region.onset, region.offset] for region in truth]
        elif key == "duration":
            agrees = isinstance(claim, int | float) and abs(claim - truth) <= REGION_TOLERANCE
        else:
            agrees = claim == truth
        if not agrees:
            raise InputError(
                f"{row.where}, {key}: {claim!r}, but the manifest has {truth!r}; correct the one "
                "that is wrong"
            )


def _agree(claim: object, regions: Sequence[Region]) -> bool:
    try:
        claimed = merge_regions(Region(*span) for span in claim)  # type: ignore[attr-defined]
    except (InputError, TypeError):
        return False
    merged = merge_regions(regions)
    return len(claimed) == len(merged) and all(
        abs(microseconds(a) - microseconds(b)) <= microseconds(REGION_TOLERANCE)
        for ours, theirs in zip(merged, claimed, strict=True)
        for a, b in ((ours.onset, theirs.onset), (ours.offset, theirs.offset))
    )
