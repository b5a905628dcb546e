"""Read segment scores of PartialSpoof and WeDefense from text or arrays."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from fakesound.data.arrays import read_arrays
from fakesound.errors import InputError
from fakesound.evaluation.score_rows import ScoreFormat, ScoreRow, number, score_row
from fakesound.metrics.score_file import read_lines

ARRAY_SUFFIXES = (".npz", ".npy", ".pkl", ".pickle")


def segment_rows(path: Path, score_format: ScoreFormat) -> list[ScoreRow]:
    """Read one row per clip from a file of segment scores.

    In text, each line is a segment ``CLIP SEGMENT SCORE`` with SEGMENT counted from 0 or 1; other
    columns, in WeDefense the score of fake and the label, are ignored. Array files (``.npz``,
    ``.npy``, ``.pkl``) contain a one-dimensional array for each clip, or PartialSpoof's
    ``score_ali``: a list of arrays with the columns ``clip, score of fake, score of genuine[,
    label]``.

    Raises:
        InputError: naming the file and the row or the clip.
    """
    if path.suffix.lower() in ARRAY_SUFFIXES:
        clips = _of_arrays(read_arrays(path), path)
    else:
        clips = _of_text(path)
    return [
        score_row(score_format, where, clip_id, frames=values) for where, clip_id, values in clips
    ]


def _of_text(path: Path) -> Iterator[tuple[str, str, Float[np.ndarray, " frame"]]]:
    segments: dict[str, dict[int, float]] = {}
    first_row: dict[str, int] = {}
    for row, line in read_lines(path):
        where = f"{path}, row {row}"
        try:
            clip_id, index, value = line.split(None, 3)[:3]
        except ValueError:
            raise InputError(
                f"{where}: {line.strip()!r} is not CLIP SEGMENT SCORE, separated by spaces"
            ) from None
        if not index.isdecimal():
            raise InputError(f"{where}, segment: {index!r} is not a number from 0 or 1")
        clip = segments.setdefault(clip_id, {})
        if int(index) in clip:
            raise InputError(f"{where}, segment: clip {clip_id!r} has segment {index} twice")
        clip[int(index)] = number(value, f"{where}, score")
        first_row.setdefault(clip_id, row)
    base = min((min(clip) for clip in segments.values()), default=0)
    for clip_id, clip in segments.items():
        where = f"{path}, row {first_row[clip_id]}"
        expected = range(base, base + len(clip)) if base in (0, 1) else range(len(clip))
        missing = sorted(set(expected) - set(clip))
        if missing:
            raise InputError(
                f"{where}, segment: clip {clip_id!r} has no segment {missing[0]}; each segment "
                "needs a row"
            )
        yield where, clip_id, np.array([clip[index] for index in expected])


def _of_arrays(
    content: object, path: Path
) -> Iterator[tuple[str, str, Float[np.ndarray, " frame"]]]:
    if isinstance(content, Mapping):
        arrays = {str(clip_id): values for clip_id, values in content.items()}
    elif isinstance(content, Sequence | np.ndarray):
        arrays = _of_alignment(content, path)
    else:
        arrays = {}
    if not arrays:
        raise InputError(f"{path}: holds no clips; give an array of segment scores for each clip")
    for clip_id, values in arrays.items():
        where = f"{path}, clip {clip_id!r}"
        if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
            raise InputError(f"{where}, score: not an array of numbers")
        if values.ndim != 1 or not values.size:
            raise InputError(
                f"{where}, score: an array of shape {list(values.shape)}; give one number per "
                "segment"
            )
        yield where, clip_id, values


def _of_alignment(
    tables: Sequence[object] | np.ndarray, path: Path
) -> dict[str, Float[np.ndarray, " frame"]]:
    parts: dict[str, list[float]] = {}
    for position, table in enumerate(tables, start=1):
        shape: tuple[int, ...] = table.shape if isinstance(table, np.ndarray) else ()
        if not isinstance(table, np.ndarray) or len(shape) != 2 or shape[1] not in (3, 4):
            raise InputError(
                f"{path}, array {position}: not a table of clip, score of fake, score of genuine"
            )
        for clip_id, _, genuine in table[:, :3].tolist():
            where = f"{path}, clip {clip_id!r}, score"
            parts.setdefault(str(clip_id), []).append(number(genuine, where))
    return {clip_id: np.array(values) for clip_id, values in parts.items()}
