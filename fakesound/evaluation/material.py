"""What an evaluation starts from: raw scores, the clips they are of, and where both come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from fakesound.augmentation.conditions import Condition
from fakesound.data.location import AnyLocation
from fakesound.data.manifest import Clip, read_manifest
from fakesound.data.merge import merge_manifests
from fakesound.errors import InputError
from fakesound.evaluation.comparison import in_common
from fakesound.evaluation.inputs import read_score_files, remarks
from fakesound.evaluation.rows import ScoreFormat
from fakesound.metrics import ClipScore
from fakesound.scoring.calibration import Calibrator
from fakesound.scoring.thresholds import Thresholds


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for, option by option of ``python -m fakesound.evaluate``."""

    checkpoint: Path | None
    manifest: Sequence[AnyLocation]
    scores: Sequence[Path]
    validation_scores: Sequence[Path]
    out: Path
    split: str | None
    subset: str | None
    allow_missing: bool
    drop_training_sources: bool
    calibrate: str
    confidence: float | None
    robustness: Sequence[str] | None
    draws: int
    seed: int
    examples: int
    device: str
    kernel: str
    format: str
    higher_is: str | None
    scale: str | None
    frame_step: float


@dataclass(frozen=True, kw_only=True)
class System:
    """One detector's raw scores.

    Attributes:
        name: of the detector, in the comparison of two.
        test: of the clips it is judged on.
        validation: of the clips that thresholds and calibration come from; maybe none.
    """

    name: str
    test: Sequence[ClipScore]
    validation: Sequence[ClipScore] = ()


@dataclass(frozen=True, kw_only=True)
class Material:
    """What is to be judged.

    Attributes:
        systems: one, or two to compare.
        calibration: method to fit on validation, or what a checkpoint carries.
        thresholds: a checkpoint's; None: from validation, or as the scores have them.
        clips: manifest rows by clip id, those that are known.
        remarks: what to know of the clips.
        origin: of the scores, for the record.
        hear: returns raw scores under a condition; None for score files.
    """

    systems: Sequence[System]
    calibration: str | Calibrator
    thresholds: Thresholds | None
    clips: dict[str, Clip]
    remarks: Sequence[str]
    origin: dict[str, Any]
    hear: Callable[[Condition], Sequence[ClipScore]] | None = None


def read_clips(request: Request) -> tuple[list[Clip], list[str]]:
    """Return the manifest rows that are evaluated, and what to know of them.

    Raises:
        InputError: for a row that is wrong, or where none is left.
    """
    pooled = []
    for path in request.manifest:
        # a score file needs no audio
        rows = read_manifest(path, request.checkpoint is not None and not request.allow_missing)
        part = request.split or ("test" if any(clip.split == "test" for clip in rows) else "all")
        # evaluated together, whatever part they played elsewhere
        pooled.append([replace(c, split="test") for c in rows if part in ("all", c.split)])
        if not pooled[-1]:
            raise InputError(f"{path}: has no rows of split {part}; choose another --split")
    if not pooled:
        return [], []
    clips, notes = merge_manifests(pooled)
    if request.subset is not None:
        there = sorted({name for clip in clips for name in clip.subsets})
        if request.subset not in there:
            raise InputError(
                f"--subset={request.subset}: no such subset; there are {', '.join(there) or 'none'}"
            )
        clips = [clip for clip in clips if request.subset in clip.subsets]
    return clips, notes


def of_files(request: Request) -> Material:
    """Return the scores of one or two files.

    Raises:
        InputError: naming file, row and field.
    """
    clips, notes = read_clips(request)
    style = ScoreFormat(request.format, request.higher_is, request.scale, request.frame_step)
    names = _names(request.scores)
    systems = []
    for place, path in enumerate(request.scores):
        test, told = read_score_files([path], clips or None, style, request.allow_missing)
        notes += told
        if request.subset is not None:
            test = [clip for clip in test if request.subset in clip.subsets]
            if not test:
                raise InputError(f"--subset={request.subset}: {path} has no clip of it")
        validation: Sequence[ClipScore] = ()
        if request.validation_scores:
            validation, _ = read_score_files([request.validation_scores[place]])
        systems.append(System(name=names[place], test=test, validation=validation))
    if len(systems) == 2 and request.allow_missing:
        a, b, lone = in_common(systems[0].test, systems[1].test)
        systems = [
            System(name=system.name, test=test, validation=system.validation)
            for system, test in zip(systems, (a, b), strict=True)
        ]
        notes += [f"{lone} clips are scored by one of the two only, and left out"] if lone else []
    return Material(
        systems=systems,
        calibration=request.calibrate,
        thresholds=None,
        clips={clip.clip_id: clip for clip in clips},
        remarks=list(dict.fromkeys([*notes, *remarks(systems[0].test)])),
        origin={"scores": [path.name for path in request.scores]},
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """Return names that tell the files apart: of the files, or of their folders."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    parents = [path.resolve().parent.name for path in paths]
    return parents if len(set(parents)) == len(parents) else [str(path) for path in paths]
