"""The score file: JSON Lines, one clip a row, enough to evaluate any detector."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from jaxtyping import Float32

from fakesound.errors import InputError, field_error
from fakesound.files import write_whole
from fakesound.metrics.scores import UNKNOWN, ClipScore, FamilyScores, has_frames, logit
from fakesound.timeline import Region

SCORE_DECIMALS = 6
# both are combined again after calibration, so near 0 and 1 they count
HYPOTHESIS_DECIMALS = 9
_Name = Annotated[str, msgspec.Meta(min_length=1)]
# fields of a row that a clip has in another form
_CONVERTED = (
    *("logit", "domain", "regions", "frame_scores", "boundary_scores"),
    *("family_scores", "family_energy", "attack_family"),
)


class _Row(msgspec.Struct):
    """A row of a score file; null is the default of every field."""

    clip_id: _Name
    score: float
    label: _Name
    corpus: _Name
    source_id: _Name
    duration: float
    logit: float | None = None
    attack: _Name | None = None
    domain: _Name | None = None
    regions: tuple[tuple[float, float], ...] = ()
    frame_step: float = 0.02
    frame_scores: list[float] = []
    fold: str | None = None
    clip_threshold: float = 0.5
    frame_threshold: float = 0.5
    subsets: tuple[str, ...] = ()
    boundary_scores: list[float] = []
    boundary_threshold: float = 0.5
    family_scores: dict[str, float] | None = None
    family_energy: float | None = None
    attack_family: str | None = None
    further: dict[str, float] = {}
    part_score: float | None = None
    whole_score: float | None = None


def read_lines(path: str | Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of a text file that are not blank, each with its number from 1.

    Raises:
        InputError: naming the file, if it cannot be read as text or has no such line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    # not splitlines: a name may hold any of Unicode's line separators
    lines = [pair for pair in enumerate(text.split("\n"), start=1) if pair[1].strip()]
    if not lines:
        raise InputError(f"{path}: holds no rows")
    yield from lines


def read_scores(path: str | Path) -> list[ClipScore]:
    """Return the clips of a score file, in its order.

    Required in each row: ``clip_id, score, label, corpus, source_id, duration``, and for a fake
    ``attack`` and ``regions``. Absent or null fields take their defaults: ``logit`` is computed
    from the score, ``domain`` is the corpus, ``frame_scores`` are empty, ``frame_step`` is 0.02 s,
    thresholds are 0.5, and there are no ``subsets``. Some detectors have ``part_score`` and
    ``whole_score``, ``boundary_scores``, and ``family_scores`` with ``family_energy`` and
    ``attack_family``; ``further`` holds other scores by task. Other keys are ignored; so are blank
    lines.

    Raises:
        InputError: naming file, row and field, for the first row that is not valid; and for a
            file that cannot be read or holds no rows.
    """
    scores: list[ClipScore] = []
    rows: dict[str, int] = {}
    for number, line in read_lines(path):
        try:
            clip = _clip(json.loads(line))
            if clip.clip_id in rows:
                raise InputError(
                    f"clip_id: {clip.clip_id!r} is already in row {rows[clip.clip_id]}"
                )
        except json.JSONDecodeError as error:
            raise InputError(f"{path}, row {number}: not JSON ({error})") from error
        except InputError as error:
            raise InputError(f"{path}, row {number}, {error}") from error
        rows[clip.clip_id] = number
        scores.append(clip)
    try:
        has_frames(scores)
    except InputError as error:
        raise InputError(f"{path}, {error}") from error
    return scores


def write_scores(path: str | Path, scores: Sequence[ClipScore]) -> None:
    """Write ``scores`` as JSON Lines, whole or not at all.

    Scores are rounded to six decimals; logits, which rank the clips, are not. Clips read back and
    written again give the same file.
    """
    rows = [json.dumps(_row(clip), allow_nan=False) + "\n" for clip in scores]
    write_whole(Path(path), "".join(rows))


def _row(clip: ClipScore) -> dict[str, Any]:
    subsets = {"subsets": list(clip.subsets)} if clip.subsets else {}
    return {
        "clip_id": clip.clip_id,
        "score": round(float(clip.score), SCORE_DECIMALS),
        "logit": float(clip.logit),
        "label": clip.label,
        "attack": clip.attack,
        "corpus": clip.corpus,
        "domain": clip.domain,
        "source_id": clip.source_id,
        "regions": [[region.onset, region.offset] for region in clip.regions],
        "duration": clip.duration,
        "fold": clip.fold,
        **subsets,
        "clip_threshold": clip.clip_threshold,
        "frame_threshold": clip.frame_threshold,
        "frame_step": clip.frame_step,
        "frame_scores": _rounded(clip.frame_scores),
        **_further(clip),
    }


def _further(clip: ClipScore) -> dict[str, Any]:
    """Return the fields that only some detectors have."""
    further: dict[str, Any] = {}
    for name in ("part_score", "whole_score"):
        value = getattr(clip, name)
        if value is not None:
            further[name] = round(value, HYPOTHESIS_DECIMALS)
    if clip.boundary_scores.size:
        further["boundary_threshold"] = clip.boundary_threshold
        further["boundary_scores"] = _rounded(clip.boundary_scores)
    if clip.further:
        further["further"] = {k: round(v, SCORE_DECIMALS) for k, v in clip.further.items()}
    if clip.family is not None:
        scores = clip.family.scores.items()
        further["attack_family"] = clip.family.name
        further["family_energy"] = clip.family.energy
        further["family_scores"] = {name: round(at, SCORE_DECIMALS) for name, at in scores}
    return further


def _rounded(frames: Float32[np.ndarray, " frame"]) -> list[float]:
    rounded: list[float] = np.round(frames.astype(np.float64), SCORE_DECIMALS).tolist()
    return rounded


def _clip(content: object) -> ClipScore:
    if not isinstance(content, dict):
        raise InputError("not a JSON object")
    given = {key: value for key, value in content.items() if value is not None}
    try:
        row = msgspec.convert(given, _Row)
    except msgspec.ValidationError as error:
        raise InputError(field_error(error, given, {})) from None
    own = {name: getattr(row, name) for name in row.__struct_fields__ if name not in _CONVERTED}
    try:
        regions = tuple(Region(*span) for span in row.regions)
    except InputError as error:
        raise InputError(f"regions: {error}") from error
    family = None
    if row.family_scores is not None:
        if row.family_energy is None:
            raise InputError("family_energy: missing; it belongs to family_scores")
        unknown = row.attack_family == UNKNOWN
        family = FamilyScores(row.family_scores, row.family_energy, unknown)
    return ClipScore(
        logit=logit(row.score) if row.logit is None else row.logit,
        domain=row.domain or row.corpus,
        regions=regions,
        frame_scores=_frames(row.frame_scores),
        boundary_scores=_frames(row.boundary_scores),
        family=family,
        **own,
    )


def _frames(values: Sequence[float]) -> Float32[np.ndarray, " frame"]:
    return np.asarray(values, dtype=np.float64).astype(np.float32)
