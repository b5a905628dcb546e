"""Read score files in the formats of other detectors."""

import csv
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np

from fakesound.errors import InputError
from fakesound.evaluation.score_rows import ScoreFormat, ScoreRow, label_of, number, score_row
from fakesound.evaluation.segments import segment_rows
from fakesound.metrics import logit
from fakesound.metrics.score_file import read_lines, read_objects

# labels of a clip that a row may repeat
CLAIMS = ("label", "attack", "corpus", "source_id", "regions", "duration")
EXTRA = ("fold", "clip_threshold", "frame_threshold")
CLIP_HEADERS = ("clip_id", "filename", "trial_anon", "utt", "utt_id")
SCORE_HEADERS = ("score", "cm-score", "cm_score")


def read_rows(path: Path, score_format: ScoreFormat, known: Set[str]) -> list[ScoreRow]:
    """Read the rows of a score file, one per clip.

    Args:
        path: score file.
        score_format: format of the file.
        known: ids of the clips in the manifest, which identify columns of a file without header.

    Raises:
        InputError: naming the file, the row and the field, for the first error.
    """
    if score_format.name == "partialspoof":
        rows = segment_rows(path, score_format)
    elif score_format.name == "asvspoof":
        rows = _asvspoof(path, score_format, known)
    elif score_format.name == "csv":
        rows = _csv(path, score_format)
    else:
        rows = _jsonl(path, score_format)
    first: dict[str, str] = {}
    for row in rows:
        if first.setdefault(row.clip_id, row.where) is not row.where:
            raise InputError(
                f"{row.where}, clip_id: {row.clip_id!r} is already in {first[row.clip_id]}"
            )
    return rows


def _asvspoof(path: Path, score_format: ScoreFormat, known: Set[str]) -> list[ScoreRow]:
    """Read the score files of ASVspoof 2019, 2021 and 5.

    A header (ASVspoof 5, WeDefense) names the columns. Without one, their order varies: the clip is
    in the column that contains an id of the manifest, the score in the only other column with a
    number. A label in the row must agree with the manifest.
    """
    lines = [(number, line.split()) for number, line in read_lines(path)]
    header = [word.lower() for word in lines[0][1]]
    if any(word in SCORE_HEADERS for word in header):
        clip_column = _column(header, CLIP_HEADERS, path)
        score_column = _column(header, SCORE_HEADERS, path)
        del lines[0]
    else:
        clip_column, score_column = _columns(lines, known, path)
    if not lines:
        raise InputError(f"{path}: holds no rows; give one for each clip")
    width = len(lines[0][1])
    rows = []
    for row, cells in lines:
        where = f"{path}, row {row}"
        if len(cells) != width:
            raise InputError(f"{where}: {len(cells)} columns, but the first row has {width}")
        words = {label_of(cell, where) for cell in cells if cell in ("bonafide", "spoof")}
        claims = {"label": words.pop()} if len(words) == 1 else {}
        value = number(cells[score_column], f"{where}, score")
        rows.append(score_row(score_format, where, cells[clip_column], value, claims=claims))
    return rows


def _column(header: list[str], names: tuple[str, ...], path: Path) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise InputError(f"{path}, row 1: no column named {' or '.join(names)}")


def _columns(lines: list[tuple[int, list[str]]], known: Set[str], path: Path) -> tuple[int, int]:
    for row, cells in lines:
        clips = [column for column, cell in enumerate(cells) if cell in known]
        if not clips:
            continue
        numbers = [
            column for column, cell in enumerate(cells) if column not in clips and _numeric(cell)
        ]
        if len(clips) == len(numbers) == 1:
            return clips[0], numbers[0]
        raise InputError(
            f"{path}, row {row}: needs one clip and one number; or add a header with the columns "
            "filename and cm-score"
        )
    raise InputError(
        f"{path}, row {lines[0][0]}: no row has a clip_id of the manifest; the first row is "
        f"{' '.join(lines[0][1])!r}"
    )


def _numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _csv(path: Path, score_format: ScoreFormat) -> list[ScoreRow]:
    """Read a table with the columns ``clip_id, score`` and, optionally, ``frame_scores, label``.

    Frame scores are separated by spaces or semicolons.
    """
    lines = list(read_lines(path))
    delimiter = "\t" if "\t" in lines[0][1] else ","
    cells = [(number, next(csv.reader([line], delimiter=delimiter))) for number, line in lines]
    header = [name.strip().lower() for name in cells[0][1]]
    _column(header, ("clip_id",), path)
    _column(header, ("score", "frame_scores"), path)
    rows = []
    for row, values in cells[1:]:
        where = f"{path}, row {row}"
        if len(values) != len(header):
            raise InputError(f"{where}: {len(values)} columns, but the header has {len(header)}")
        rows.append(
            _csv_row(dict(zip(header, map(str.strip, values), strict=True)), score_format, where)
        )
    if not rows:
        raise InputError(f"{path}: holds no rows; give one for each clip")
    return rows


def _csv_row(cells: Mapping[str, str], score_format: ScoreFormat, where: str) -> ScoreRow:
    label = cells.get("label")
    claims = {"label": label_of(label, f"{where}, label")} if label else {}
    score, frames = cells.get("score"), cells.get("frame_scores")
    value = number(score, f"{where}, score") if score else None
    values = None
    if frames:
        words = frames.replace(";", " ").split()
        values = np.array([number(word, f"{where}, frame_scores") for word in words])
    return score_row(score_format, where, cells["clip_id"], value, values, claims)


def _jsonl(path: Path, score_format: ScoreFormat) -> list[ScoreRow]:
    return [_json_row(content, score_format, where) for where, content in read_objects(path)]


def _json_row(content: Mapping[str, Any], score_format: ScoreFormat, where: str) -> ScoreRow:
    values = {key: value for key, value in content.items() if value is not None}
    clip_id, frames = values.get("clip_id"), values.get("frame_scores", [])
    if not isinstance(clip_id, str) or not clip_id:
        raise InputError(f"{where}, clip_id: {clip_id!r} is not a name")
    if "score" not in values:
        raise InputError(f"{where}, score: missing; give a number")
    if not (isinstance(frames, list) and set(map(type, frames)) <= {int, float}):
        raise InputError(f"{where}, frame_scores: not a list of numbers")
    score, step = (
        number(values.get(key, default), f"{where}, {key}")
        for key, default in (("score", None), ("frame_step", score_format.frame_step))
    )
    return ScoreRow(
        where=where,
        clip_id=clip_id,
        score=score,
        logit=number(values.get("logit", logit(score)), f"{where}, logit"),
        frame_step=step,
        frame_scores=np.array(frames, dtype=np.float64).astype(np.float32),
        claims={key: values[key] for key in CLAIMS if key in values},
        extra={
            key: values[key] if key == "fold" else number(values[key], f"{where}, {key}")
            for key in EXTRA
            if key in values
        },
    )
