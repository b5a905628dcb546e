"""From scores to the figures of ``metrics.json``, for runs and for any other detector."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fakesound.data.manifest import Clip
from fakesound.forging.audit import shortcut_audit
from fakesound.metrics import (
    ClipScore,
    Prior,
    baseline_blocks,
    fold_blocks,
    has_frames,
    localisation_block,
    metrics_block,
    reliability,
    subgroup_blocks,
    subsets,
)
from fakesound.metrics.abstention import abstention_block, calibration_figures
from fakesound.metrics.block import ClipColumns
from fakesound.scoring.calibration import IDENTITY, Calibrator, fit_calibrator
from fakesound.scoring.clip_score import (
    FAKE_SHARE,
    FURTHER_HEADS,
    head_thresholds,
    with_head_thresholds,
)
from fakesound.scoring.decision import CONFIDENCE, with_detected_regions
from fakesound.scoring.hypotheses import Hypotheses, fit_hypotheses
from fakesound.scoring.thresholds import OperatingPoint, Thresholds, select_thresholds

# figures that depend on what is called fake, also measured on the regions of detections
DETECTED = ("segment_f1_20ms", "segment_f1_1s", "event_f1")


@dataclass(frozen=True)
class CalibratedScores:
    """Scores with a calibration and thresholds that were not fitted on the test.

    Attributes:
        test: calibrated scores with thresholds.
        validation: the same of the validation clips; may be empty.
        calibrator: calibrator that was applied.
        thresholds: thresholds that were applied; None: those in the scores.
        origin: source of the thresholds, in words.
        before: figures of calibration of each part before it; None without calibration.
        hypotheses: maps of the two hypotheses, applied before the calibrator.
    """

    test: tuple[ClipScore, ...]
    validation: tuple[ClipScore, ...]
    calibrator: Calibrator
    thresholds: Thresholds | None
    origin: str
    before: Mapping[str, Any] | None
    hypotheses: Hypotheses


def apply_calibration(
    test: Sequence[ClipScore],
    validation: Sequence[ClipScore],
    calibration: str | Calibrator = "none",
    thresholds: Thresholds | None = None,
    origin: str = "the score file",
    point: OperatingPoint = OperatingPoint(),  # noqa: B008  # frozen
) -> CalibratedScores:
    """Return the scores, calibrated and with thresholds fitted on ``validation``.

    Args:
        test: raw scores.
        validation: raw scores of the clips that thresholds and calibration are fitted on.
        calibration: method to fit on ``validation``, or a calibrator that was fitted before.
        thresholds: thresholds for lack of validation; None: those in the scores.
        origin: source of these thresholds, in words.
        point: conditions of use for which thresholds are chosen on ``validation``.
    """
    hypotheses = Hypotheses()
    if calibration == "logistic" and validation:
        hypotheses = fit_hypotheses(validation)
        test, validation = hypotheses.applied(test), hypotheses.applied(validation)
    calibrator = calibration if isinstance(calibration, Calibrator) else IDENTITY
    if isinstance(calibration, str) and validation:
        calibrator = fit_calibrator(validation, calibration)
    before = None
    if calibrator.method != "none":
        before = _calibration(test, validation)
        test, validation = calibrator.applied(test), calibrator.applied(validation)
    if validation:
        thresholds, origin = select_thresholds(validation, FAKE_SHARE, point), "validation"
        further = head_thresholds(validation)
        test = with_head_thresholds(test, further)
        validation = with_head_thresholds(validation, further)
    if thresholds is not None:
        test, validation = thresholds.applied(test), thresholds.applied(validation)
    return CalibratedScores(
        tuple(test), tuple(validation), calibrator, thresholds, origin, before, hypotheses
    )


def figures(
    scores: CalibratedScores,
    prior: Prior,
    draws: int,
    seed: int,
    confidence: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return the figures of a test, of its parts, and of trivial answers to the same clips.

    Args:
        scores: calibrated scores.
        prior: shares of fakes, for the trivial answers.
        draws: number of bootstrap draws for the intervals.
        seed: seed of the draws.
        confidence: probability under which a verdict is "uncertain"; None: no such figures.
        progress: function called with the number of steps done and of all steps.
    """
    test, validation = scores.test, scores.validation
    folds = subsets(test).folds
    steps = 4
    block = metrics_block(validation) if validation else None
    ranks = [block[key] for key in ("clip/auc", "frame/auc")] if block else []
    known = [float(rank) for rank in ranks if rank is not None]
    found: dict[str, Any] = {"validation": block}
    progress(0, steps)
    found["test"] = fold_blocks(test, draws, seed)
    progress(1, steps)
    found["partition"] = subgroup_blocks(test, draws, seed)
    progress(2, steps)
    parts = {"all": test, **folds}
    found["localisation"] = None
    if has_frames(test):
        found["localisation"] = {
            name: localisation_block(part) | _of_detections(part, confidence)
            for name, part in parts.items()
        }
    # only of detectors with such heads
    for name, head in FURTHER_HEADS.items():
        if (of_all := head.block(test)) is not None:
            apart = {part: head.block(scores) for part, scores in folds.items()}
            found[name] = {"all": of_all, **apart} if head.by_fold else of_all
    progress(3, steps)
    trivial = baseline_blocks(test, prior, parts)
    found["baseline"] = trivial.pop("all")
    found["baseline_by_fold"] = trivial
    found["thresholds"] = _thresholds(scores)
    found["calibration"] = None
    if scores.before is not None:
        found["calibration"] = {
            **scores.calibrator.to_plain(),
            "before": scores.before,
            "after": _calibration(test, validation),
        }
    found["abstention"] = None
    if confidence is not None:
        found["abstention"] = {"confidence": confidence} | {
            name: abstention_block(part, confidence) for name, part in parts.items()
        }
    found["objective"] = sum(known) / len(known) if known else None
    progress(steps, steps)
    return found


def _of_detections(scores: Sequence[ClipScore], confidence: float | None) -> dict[str, Any]:
    """Return figures of the regions that detections contain, beside those of plain thresholds."""
    block = metrics_block([with_detected_regions(c, confidence or CONFIDENCE) for c in scores])
    return {f"detected_{key}": block[key] for key in DETECTED}


def audit(clips: Sequence[Clip], unseen: Collection[str]) -> dict[str, Any]:
    """Return the shortcut audit of the test ``clips``, and of those of the ``unseen`` fold."""
    found = {"auc": shortcut_audit(clips), "auc_unseen": None}
    if unseen:
        found["auc_unseen"] = shortcut_audit([clip for clip in clips if clip.clip_id in unseen])
    areas: dict[str, Any] = {name: None if a is None else a.auc for name, a in found.items()}
    last = found["auc_unseen"] or found["auc"]
    return areas | {"features": last.properties if last else {}}


def _thresholds(scores: CalibratedScores) -> dict[str, Any]:
    """Return the thresholds in force; null where the clips of a file have several."""
    clip = {score.clip_threshold for score in scores.test}
    frame = {score.frame_threshold for score in scores.test}
    return {
        "clip": clip.pop() if len(clip) == 1 else None,
        "frame": frame.pop() if len(frame) == 1 else None,
        "origin": scores.origin,
    }


def _calibration(
    test: Sequence[ClipScore], validation: Sequence[ClipScore]
) -> dict[str, dict[str, Any]]:
    parts = {"validation": validation, "all": test, **subsets(test).folds}
    return {
        name: calibration_figures(part) | {"reliability": _reliability(part)}
        for name, part in parts.items()
        if part
    }


def _reliability(scores: Sequence[ClipScore]) -> dict[str, list[float]]:
    clips = ClipColumns.of(scores)
    points = vars(reliability(clips.score, clips.fake))
    return {key: values.tolist() for key, values in points.items()}
