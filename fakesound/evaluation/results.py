"""Compute the content of ``metrics.json`` from scores, for runs and for other detectors."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from fakesound.config import DecisionConfig
from fakesound.corpora.audit import shortcut_audit
from fakesound.data.manifest import Clip
from fakesound.metrics import (
    ClipScore,
    Prior,
    baseline_blocks,
    has_frames,
    localisation_block,
    metrics_block,
    reliability,
    subset_blocks,
    subsets,
)
from fakesound.metrics.abstention import abstention_block, calibration_metrics
from fakesound.metrics.block import ClipColumns
from fakesound.provenance import usable_cores
from fakesound.scoring.calibration import IDENTITY, Calibrator, fit_calibrator
from fakesound.scoring.clip_score import FURTHER_HEADS, head_thresholds, with_head_thresholds
from fakesound.scoring.decision import CONFIDENCE, with_detected_regions
from fakesound.scoring.hypotheses import Hypotheses, fit_hypotheses
from fakesound.scoring.thresholds import Thresholds, select_thresholds

# metrics that are also computed on detected regions, as `detect` reports them
DETECTED = ("segment_f1_20ms", "segment_f1_1s", "event_f1")


@dataclass(frozen=True)
class CalibratedScores:
    """Calibrated scores with thresholds, neither of them fitted on the test clips.

    Attributes:
        test: scores of the test clips.
        validation: scores of the validation clips; may be empty.
        calibrator: calibrator that was applied.
        thresholds: thresholds that were applied; None if the scores have their own.
        origin: source of the thresholds, in words.
        before: calibration metrics before calibration; None without calibration.
        hypotheses: calibrators of the two hypotheses, applied before ``calibrator``.
    """

    test: tuple[ClipScore, ...]
    validation: tuple[ClipScore, ...]
    calibrator: Calibrator
    thresholds: Thresholds | None
    origin: str
    before: Mapping[str, Any] | None
    hypotheses: Hypotheses

    @property
    def constant(self) -> str | None:
        """Warning of a calibration that gives all clips the same score; None if there is none."""
        maps = {
            "partial fakes": self.hypotheses.part,
            "whole fakes": self.hypotheses.whole,
            "fakes": self.calibrator,
        }
        found = [kind for kind, fitted in maps.items() if fitted.constant]
        if not (found and self.validation):
            return None
        return (
            f"calibration: {' and '.join(found)} do not score higher than genuine clips in the "
            f"{len(self.validation)} validation clips, so calibration removes the difference; "
            "validate on more clips, or train longer"
        )


def apply_calibration(
    test: Sequence[ClipScore],
    validation: Sequence[ClipScore],
    calibration: str | Calibrator = "none",
    thresholds: Thresholds | None = None,
    origin: str = "the score file",
    decision: DecisionConfig | None = None,
) -> CalibratedScores:
    """Calibrate scores and select thresholds on ``validation``.

    Args:
        test: uncalibrated scores of the test clips.
        validation: uncalibrated scores of the clips for fitting; may be empty.
        calibration: method to fit on ``validation``, or a fitted calibrator.
        thresholds: thresholds if there is no validation; None for those in the scores.
        origin: source of these thresholds, in words.
        decision: conditions of the thresholds that are selected.
    """
    hypotheses = Hypotheses()
    if calibration == "logistic" and validation:
        hypotheses = fit_hypotheses(validation)
        test, validation = hypotheses.apply(test), hypotheses.apply(validation)
    calibrator = calibration if isinstance(calibration, Calibrator) else IDENTITY
    if isinstance(calibration, str) and validation:
        calibrator = fit_calibrator(validation, calibration)
    before = None
    if calibrator.method != "none":
        before = _calibration_metrics(test, validation)
        test, validation = calibrator.apply(test), calibrator.apply(validation)
    if validation:
        thresholds, origin = select_thresholds(validation, decision), "validation"
        of_heads = head_thresholds(validation)
        test = with_head_thresholds(test, of_heads)
        validation = with_head_thresholds(validation, of_heads)
    if thresholds is not None:
        test, validation = thresholds.apply(test), thresholds.apply(validation)
    return CalibratedScores(
        tuple(test), tuple(validation), calibrator, thresholds, origin, before, hypotheses
    )


def compute_metrics(
    scores: CalibratedScores,
    prior: Prior,
    draws: int,
    seed: int,
    confidence: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return the metrics of a test, of its parts, and of trivial baselines.

    Args:
        scores: calibrated scores.
        prior: shares of fakes in training, for the baselines.
        draws: number of bootstrap draws for the intervals.
        seed: seed of the draws.
        confidence: probability below which a verdict is "uncertain"; None for no such metrics.
        progress: function called with the number of finished steps and their total.
    """
    test, validation = scores.test, scores.validation
    folds = subsets(test).folds
    steps = 3
    block = metrics_block(validation) if validation else None
    areas = [block[key] for key in ("clip/auc", "frame/auc")] if block else []
    known = [float(area) for area in areas if area is not None]
    metrics: dict[str, Any] = {"validation": block}
    progress(0, steps)
    metrics |= subset_blocks(test, draws, seed)
    progress(1, steps)
    parts = {"all": test, **folds}
    metrics["localisation"] = None
    if has_frames(test):
        found = {c.clip_id: with_detected_regions(c, confidence or CONFIDENCE) for c in test}

        def localisation(part: Sequence[ClipScore]) -> dict[str, Any]:
            block = metrics_block([found[clip.clip_id] for clip in part])
            return localisation_block(part) | {f"detected_{key}": block[key] for key in DETECTED}

        with ThreadPoolExecutor(usable_cores()) as pool:
            blocks = pool.map(localisation, parts.values())
            metrics["localisation"] = dict(zip(parts, blocks, strict=True))
    # these keys are absent if the detector lacks the head
    for name, head in FURTHER_HEADS.items():
        if (whole := head.block(test)) is not None:
            by_fold = {part: head.block(scores) for part, scores in folds.items()}
            metrics[name] = {"all": whole, **by_fold} if head.by_fold else whole
    progress(2, steps)
    baselines = baseline_blocks(test, prior, parts)
    metrics["baseline"] = baselines.pop("all")
    metrics["baseline_by_fold"] = baselines
    metrics["thresholds"] = _thresholds(scores)
    metrics["calibration"] = None
    if scores.before is not None:
        metrics["calibration"] = {
            **scores.calibrator.to_plain(),
            "before": scores.before,
            "after": _calibration_metrics(test, validation),
        }
    metrics["abstention"] = None
    if confidence is not None:
        metrics["abstention"] = {"confidence": confidence} | {
            name: abstention_block(part, confidence) for name, part in parts.items()
        }
    metrics["objective"] = sum(known) / len(known) if known else None
    progress(steps, steps)
    return metrics


def audit(clips: Sequence[Clip], unseen: Collection[str]) -> dict[str, Any]:
    """Return the shortcut audit of the test ``clips`` and of those in the ``unseen`` fold."""
    audits = {"auc": shortcut_audit(clips), "auc_unseen": None}
    if unseen:
        audits["auc_unseen"] = shortcut_audit([clip for clip in clips if clip.clip_id in unseen])
    areas: dict[str, Any] = {name: None if a is None else a.auc for name, a in audits.items()}
    last = audits["auc_unseen"] or audits["auc"]
    return areas | {"features": last.properties if last else {}}


def _thresholds(scores: CalibratedScores) -> dict[str, Any]:
    """Return the thresholds of the test clips; None if they differ between clips."""
    clip = {score.clip_threshold for score in scores.test}
    frame = {score.frame_threshold for score in scores.test}
    return {
        "clip": clip.pop() if len(clip) == 1 else None,
        "frame": frame.pop() if len(frame) == 1 else None,
        "origin": scores.origin,
    }


def _calibration_metrics(
    test: Sequence[ClipScore], validation: Sequence[ClipScore]
) -> dict[str, dict[str, Any]]:
    parts = {"validation": validation, "all": test, **subsets(test).folds}
    return {
        name: calibration_metrics(part) | {"reliability": _reliability(part)}
        for name, part in parts.items()
        if part
    }


def _reliability(scores: Sequence[ClipScore]) -> dict[str, list[float]]:
    clips = ClipColumns.of(scores)
    points = vars(reliability(clips.score, clips.fake))
    return {key: values.tolist() for key, values in points.items()}
