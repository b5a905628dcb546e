"""Inputs of an evaluation: uncalibrated scores, manifest rows, and provenance."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fakesound.augmentation.conditions import Condition
from fakesound.data.manifest import Clip
from fakesound.data.merge import pool_manifests
from fakesound.errors import InputError
from fakesound.evaluation.score_files import read_score_files, warnings_of
from fakesound.evaluation.score_rows import ScoreFormat
from fakesound.metrics import ClipScore
from fakesound.scoring.calibration import Calibrator
from fakesound.scoring.thresholds import Thresholds


@dataclass(frozen=True, kw_only=True)
class System:
    """Uncalibrated scores of a detector.

    Attributes:
        name: name of the detector in a comparison.
        test: scores of the test clips.
        validation: scores of the clips for fitting thresholds and calibration; may be empty.
    """

    name: str
    test: Sequence[ClipScore]
    validation: Sequence[ClipScore] = ()


@dataclass(frozen=True, kw_only=True)
class EvaluationInputs:
    """Inputs of an evaluation.

    Attributes:
        systems: one system, or two to compare.
        calibration: method to fit on validation, or the calibrator of a checkpoint.
        thresholds: thresholds of a checkpoint; None to fit them on validation, or else to use those
            in the scores.
        clips: manifest rows by clip id; may be empty.
        warnings: facts that limit the meaning of the metrics.
        origin: provenance of the scores.
        rescore: function that scores the clips under each condition; None for score files.
    """

    systems: Sequence[System]
    calibration: str | Calibrator
    thresholds: Thresholds | None
    clips: dict[str, Clip]
    warnings: Sequence[str]
    origin: dict[str, Any]
    rescore: Callable[[Sequence[Condition]], Sequence[Sequence[ClipScore]]] | None = None


def read_clips(options: Namespace) -> tuple[list[Clip], list[str]]:
    """Return the manifest rows to evaluate, and warnings about them.

    Args:
        options: options of ``fakesound evaluate``.

    Raises:
        InputError: for an invalid row, or if no row is left.
    """
    # scores in a file need no audio
    check_files = options.checkpoint is not None and not options.allow_missing
    clips, warnings = pool_manifests(options.manifest, options.split, check_files)
    if options.subset is not None:
        subsets = sorted({name for clip in clips for name in clip.subsets})
        if options.subset not in subsets:
            raise InputError(
                f"--subset={options.subset}: no such subset; there are "
                f"{', '.join(subsets) or 'none'}"
            )
        clips = [clip for clip in clips if options.subset in clip.subsets]
    return clips, warnings


def inputs_from_scores(options: Namespace) -> EvaluationInputs:
    """Read the scores of one or two systems from files.

    Args:
        options: options of ``fakesound evaluate``.

    Raises:
        InputError: naming file, row and field.
    """
    clips, warnings = read_clips(options)
    score_format = ScoreFormat(options.format, options.higher_is, options.scale, options.frame_step)
    names = _names(options.scores)
    systems = []
    for number, path in enumerate(options.scores):
        test, more = read_score_files([path], clips or None, score_format, options.allow_missing)
        warnings += more
        if options.subset is not None:
            test = [clip for clip in test if options.subset in clip.subsets]
            if not test:
                raise InputError(f"--subset={options.subset}: {path} has no clip of this subset")
        validation: Sequence[ClipScore] = ()
        if options.validation_scores:
            path = options.validation_scores[number]
            validation, _ = read_score_files([path])
            both = {clip.clip_id for clip in test} & {clip.clip_id for clip in validation}
            if both:
                warnings.append(
                    f"{len(both)} of {len(test)} test clips are also in {path}: thresholds and "
                    "calibration are fitted to them, so the metrics are optimistic"
                )
        systems.append(System(name=names[number], test=test, validation=validation))
    if len(systems) == 2 and options.allow_missing:
        a, b, lone = _common_clips(systems[0].test, systems[1].test)
        systems = [replace(system, test=test) for system, test in zip(systems, (a, b), strict=True)]
        if lone:
            warnings.append(f"{lone} clips are skipped: only one of the two systems scored them")
    return EvaluationInputs(
        systems=systems,
        calibration=options.calibrate,
        thresholds=None,
        clips={clip.clip_id: clip for clip in clips},
        warnings=list(dict.fromkeys([*warnings, *warnings_of(systems[0].test)])),
        origin={"scores": [path.name for path in options.scores]},
    )


def _common_clips(
    scores_a: Sequence[ClipScore], scores_b: Sequence[ClipScore]
) -> tuple[list[ClipScore], list[ClipScore], int]:
    """Return the clips that both systems scored, and the number that only one scored."""
    shared = {clip.clip_id for clip in scores_a} & {clip.clip_id for clip in scores_b}
    a, b = ([c for c in scores if c.clip_id in shared] for scores in (scores_a, scores_b))
    return a, b, len(scores_a) + len(scores_b) - 2 * len(shared)


def _names(paths: Sequence[Path]) -> list[str]:
    """Return distinct names of the files: their stems, else their folders, else their paths."""
    stems = [path.stem for path in paths]
    if len(set(stems)) == len(stems):
        return stems
    parents = [path.resolve().parent.name for path in paths]
    return parents if len(set(parents)) == len(parents) else [str(path) for path in paths]
