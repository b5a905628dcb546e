"""The score file: JSON Lines, one clip a row, enough to evaluate any detector."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from fakesound.errors import InputError
from fakesound.files import write_whole
from fakesound.metrics.scores import UNKNOWN, ClipScore, FamilyScores, has_frames, logit
from fakesound.timeline import Region

SCORE_DECIMALS = 6
# both are combined again after calibration, so near 0 and 1 they count
HYPOTHESIS_DECIMALS = 9


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
    try:
        lines = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
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
    if not scores:
        raise InputError(f"{path}: holds no rows")
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
    """Return what only some detectors give."""
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


def _clip(row: object) -> ClipScore:
    if not isinstance(row, dict):
        raise InputError("not a JSON object")
    score = _number(row, "score")
    corpus = _text(row, "corpus")
    return ClipScore(
        clip_id=_text(row, "clip_id"),
        score=score,
        logit=logit(score) if row.get("logit") is None else _number(row, "logit"),
        label=_text(row, "label"),
        attack=None if row.get("attack") is None else _text(row, "attack"),
        corpus=corpus,
        domain=_text(row, "domain", corpus),
        source_id=_text(row, "source_id"),
        regions=_regions(row),
        duration=_number(row, "duration"),
        frame_step=_number(row, "frame_step", 0.02),
        frame_scores=_frame_scores(row, "frame_scores"),
        fold=None if row.get("fold") is None else _text(row, "fold"),
        clip_threshold=_number(row, "clip_threshold", 0.5),
        frame_threshold=_number(row, "frame_threshold", 0.5),
        subsets=_subsets(row),
        boundary_scores=_frame_scores(row, "boundary_scores"),
        boundary_threshold=_number(row, "boundary_threshold", 0.5),
        family=_family(row),
        further=_further_scores(row),
        part_score=None if row.get("part_score") is None else _number(row, "part_score"),
        whole_score=None if row.get("whole_score") is None else _number(row, "whole_score"),
    )


def _value(row: Mapping[str, Any], field: str, default: object) -> object:
    value = row.get(field)
    if value is None:
        value = default
    if value is None:
        raise InputError(f"{field}: missing")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(row: Mapping[str, Any], field: str, default: float | None = None) -> float:
    value = _value(row, field, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{field}: {value!r} is not a number")
    return float(value)


def _text(row: Mapping[str, Any], field: str, default: str | None = None) -> str:
    value = _value(row, field, default)
    if not isinstance(value, str) or not value:
        raise InputError(f"{field}: {value!r} is not a name")
    return value


def _subsets(row: Mapping[str, Any]) -> tuple[str, ...]:
    names = _value(row, "subsets", [])
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise InputError(f"subsets: {names!r} is not a list of names")
    return tuple(names)


def _regions(row: Mapping[str, Any]) -> tuple[Region, ...]:
    spans = _value(row, "regions", [])
    regions = []
    for span in spans if isinstance(spans, list) else [spans]:
        if not (isinstance(span, list) and len(span) == 2 and all(map(_is_number, span))):
            raise InputError(f"regions: {span!r} is not [onset, offset]")
        try:
            regions.append(Region(float(span[0]), float(span[1])))
        except InputError as error:
            raise InputError(f"regions: {error}") from error
    return tuple(regions)


def _family(row: Mapping[str, Any]) -> FamilyScores | None:
    scores = row.get("family_scores")
    if scores is None:
        return None
    if not (isinstance(scores, dict) and all(map(_is_number, scores.values()))):
        raise InputError(f"family_scores: {scores!r} are not numbers by family")
    unknown = row.get("attack_family") == UNKNOWN
    return FamilyScores(scores, _number(row, "family_energy"), unknown)


def _further_scores(row: Mapping[str, Any]) -> dict[str, float]:
    scores = _value(row, "further", {})
    if not (isinstance(scores, dict) and all(map(_is_number, scores.values()))):
        raise InputError(f"further: {scores!r} are not numbers by task")
    return scores


def _frame_scores(row: Mapping[str, Any], field: str) -> np.ndarray:
    values = _value(row, field, [])
    if not (isinstance(values, list) and all(map(_is_number, values))):
        raise InputError(f"{field}: not a list of numbers")
    return np.asarray(values, dtype=np.float64).astype(np.float32)
