"""Read and write score files: JSON Lines with one clip per row."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from jaxtyping import Float32

from fakesound.errors import InputError, field_error
from fakesound.files import atomic_write
from fakesound.metrics.scores import UNKNOWN, ClipScore, FamilyScores, has_frames, logit
from fakesound.timeline import Region

SCORE_DECIMALS = 6
# more, because calibration converts them to logits, which differ most near 0 and 1
HYPOTHESIS_DECIMALS = 9
_Name = Annotated[str, msgspec.Meta(min_length=1)]
# fields of a row whose type differs from that of the attribute of `ClipScore`
_CONVERTED = (
    *("logit", "domain", "regions", "frame_scores", "boundary_scores"),
    *("family_scores", "family_energy", "attack_family"),
)


class _Row(msgspec.Struct):
    """Row of a score file; null stands for the default."""

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
    """Yield number (from 1) and text of each line of a file that is not blank.

    Raises:
        InputError: naming the file, if it is not text or has no such line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error})") from error
    # not splitlines: a name may contain other line separators of Unicode
    lines = [pair for pair in enumerate(text.split("\n"), start=1) if pair[1].strip()]
    if not lines:
        raise InputError(f"{path}: holds no rows; give one for each clip")
    yield from lines


def read_objects(path: str | Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield file and row (for messages) and content of each line of a JSON Lines file.

    Raises:
        InputError: naming the file and the row, for a line that is not a JSON object.
    """
    for number, line in read_lines(path):
        where = f"{path}, row {number}"
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{where}: not JSON ({error})") from error
        if not isinstance(content, dict):
            raise InputError(f"{where}: not a JSON object")
        yield where, content


def read_scores(path: str | Path) -> list[ClipScore]:
    """Read the clips of a score file.

    Each row needs ``clip_id, score, label, corpus, source_id, duration``, and for a fake ``attack``
    and ``regions``. Absent or null fields have defaults: ``logit`` follows from the score,
    ``domain`` is the corpus, ``frame_scores`` and ``subsets`` are empty, ``frame_step`` is 0.02 s,
    and thresholds are 0.5. Detectors with further heads add ``part_score`` and ``whole_score``,
    ``boundary_scores``, ``family_scores`` with ``family_energy`` and ``attack_family``, and other
    scores by task in ``further``. Unknown keys and blank lines are ignored.

    Raises:
        InputError: naming file, row and field of the first invalid row; for a file that cannot be
            read; and for a file without rows.
    """
    scores: list[ClipScore] = []
    rows: dict[str, str] = {}
    for where, content in read_objects(path):
        try:
            clip = _clip(content)
        except InputError as error:
            raise InputError(f"{where}, {error}") from error
        first = rows.setdefault(clip.clip_id, where)
        if first is not where:
            raise InputError(f"{where}, clip_id: {clip.clip_id!r} is already in {first}")
        scores.append(clip)
    try:
        has_frames(scores)
    except InputError as error:
        raise InputError(f"{path}, {error}") from error
    return scores


def write_scores(path: str | Path, scores: Sequence[ClipScore]) -> None:
    """Write ``scores`` as JSON Lines, atomically.

    Scores are rounded to six decimals; logits, which rank the clips, are not. Reading and writing
    the file again does not change it.
    """
    with atomic_write(Path(path)) as file:
        for clip in scores:
            file.write(json.dumps(_row(clip), allow_nan=False).encode() + b"\n")


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
        "frame_scores": _round_scores(clip.frame_scores),
        **_further(clip),
    }


def _further(clip: ClipScore) -> dict[str, Any]:
    """Return the fields of heads that only some detectors have."""
    further: dict[str, Any] = {}
    for name in ("part_score", "whole_score"):
        if (value := getattr(clip, name)) is not None:
            further[name] = round(value, HYPOTHESIS_DECIMALS)
    if clip.boundary_scores.size:
        further["boundary_threshold"] = clip.boundary_threshold
        further["boundary_scores"] = _round_scores(clip.boundary_scores)
    if clip.further:
        further["further"] = {k: round(v, SCORE_DECIMALS) for k, v in clip.further.items()}
    if clip.family is not None:
        scores = clip.family.scores
        further["attack_family"] = clip.family.name
        further["family_energy"] = clip.family.energy
        further["family_scores"] = {k: round(v, SCORE_DECIMALS) for k, v in scores.items()}
    return further


def _round_scores(frames: Float32[np.ndarray, " frame"]) -> list[float]:
    rounded: list[float] = np.round(frames.astype(np.float64), SCORE_DECIMALS).tolist()
    return rounded


def _clip(content: dict[str, Any]) -> ClipScore:
    values = {key: value for key, value in content.items() if value is not None}
    try:
        row = msgspec.convert(values, _Row)
    except msgspec.ValidationError as error:
        raise InputError(field_error(error, values, {})) from None
    own = {name: getattr(row, name) for name in row.__struct_fields__ if name not in _CONVERTED}
    try:
        regions = tuple(Region(*span) for span in row.regions)
    except InputError as error:
        raise InputError(f"regions: {error}") from error
    family = None
    if row.family_scores is not None:
        if row.family_energy is None:
            raise InputError("family_energy: missing; family_scores need it")
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
