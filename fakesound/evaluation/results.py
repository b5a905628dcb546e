"""From scores to the figures of ``metrics.json``, the same for a run and for any other detector."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

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
from fakesound.metrics.attribution import attribution_block
from fakesound.metrics.boundaries import boundary_block
from fakesound.scoring.calibration import IDENTITY, Calibrator, fit_calibrator
from fakesound.scoring.clip_score import FAKE_SHARE, head_thresholds, with_head_thresholds
from fakesound.scoring.hypotheses import Hypotheses, fit_hypotheses
from fakesound.scoring.thresholds import OperatingPoint, Thresholds, select_thresholds


@dataclass(frozen=True)
class Judged:
    """Scores with a calibration and thresholds that did not come from the test.

    Attributes:
        test: calibrated, with the thresholds.
        validation: the same of the validation clips; none where there are none.
        calibrator: what was applied.
        hypotheses: what was applied before it.
        thresholds: what clips and frames are called fake above.
        origin: where the thresholds come from, in words.
        before: figures of calibration of each part before it; None where it changed nothing.
    """

    test: tuple[ClipScore, ...]
    validation: tuple[ClipScore, ...]
    calibrator: Calibrator
    thresholds: Thresholds | None
    origin: str
    before: Mapping[str, Any] | None
    hypotheses: Hypotheses


def judge(
    test: Sequence[ClipScore],
    validation: Sequence[ClipScore],
    calibration: str | Calibrator = "none",
    thresholds: Thresholds | None = None,
    origin: str = "the score file",
    point: OperatingPoint = OperatingPoint(),  # noqa: B008  # frozen
) -> Judged:
    """Return ``test`` as it is judged: calibrated, at thresholds from ``validation``.

    Args:
        test: raw scores.
        validation: raw scores of clips that the thresholds, and the calibration, are fitted on.
        calibration: method to fit on ``validation``, or a calibrator that was fitted before.
        thresholds: to take where there is no validation; None: those in the scores.
        origin: of these, in words.
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
    return Judged(
        tuple(test), tuple(validation), calibrator, thresholds, origin, before, hypotheses
    )


def figures(
    judged: Judged,
    prior: Prior,
    draws: int,
    seed: int,
    confidence: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Return the figures of a test, of its parts, and of trivial answers to the same clips.

    Args:
        judged: the scores.
        prior: shares of fakes that a system without ears knows.
        draws: of the bootstrap for the intervals.
        seed: of the draws.
        confidence: below it the detector says that it cannot tell; None: it always answers.
        progress: called with steps done and their number.
    """
    test, validation = judged.test, judged.validation
    folds = _folds(test)
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
        found["localisation"] = {name: localisation_block(part) for name, part in parts.items()}
    # of systems that have such heads
    boundary = {name: boundary_block(part) for name, part in parts.items()}
    if boundary["all"] is not None:
        found["boundary"] = boundary
    attribution = attribution_block(test)
    if attribution is not None:
        found["attribution"] = attribution
    progress(3, steps)
    found["baseline"] = baseline_blocks(test, prior)
    found["baseline_by_fold"] = {name: baseline_blocks(part, prior) for name, part in folds.items()}
    found["thresholds"] = _thresholds(judged)
    found["calibration"] = None
    if judged.before is not None:
        found["calibration"] = {
            **judged.calibrator.to_plain(),
            "before": judged.before,
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


def audit(clips: Sequence[Clip], unseen: Collection[str]) -> dict[str, Any]:
    """Return the shortcut audit of the test ``clips``, and of those of the ``unseen`` fold."""
    found = {"auc": shortcut_audit(clips), "auc_unseen": None}
    if unseen:
        found["auc_unseen"] = shortcut_audit([clip for clip in clips if clip.clip_id in unseen])
    areas: dict[str, Any] = {name: None if a is None else a.auc for name, a in found.items()}
    last = found["auc_unseen"] or found["auc"]
    return areas | {"features": last.properties if last else {}}


def _folds(scores: Sequence[ClipScore]) -> dict[str, Sequence[ClipScore]]:
    parts = subsets(scores)
    return {name: part for name, part in (("seen", parts.seen), ("unseen", parts.unseen)) if part}


def _thresholds(judged: Judged) -> dict[str, Any]:
    """Return the thresholds in force; null where the clips of a file have several."""
    clip = {score.clip_threshold for score in judged.test}
    frame = {score.frame_threshold for score in judged.test}
    return {
        "clip": clip.pop() if len(clip) == 1 else None,
        "frame": frame.pop() if len(frame) == 1 else None,
        "origin": judged.origin,
    }


def _calibration(
    test: Sequence[ClipScore], validation: Sequence[ClipScore]
) -> dict[str, dict[str, Any]]:
    parts = {"validation": validation, "all": test, **_folds(test)}
    return {
        name: calibration_figures(part) | {"reliability": _reliability(part)}
        for name, part in parts.items()
        if part
    }


def _reliability(scores: Sequence[ClipScore]) -> dict[str, list[float]]:
    points = reliability(
        np.array([clip.score for clip in scores], dtype=np.float64),
        np.array([clip.fake for clip in scores], dtype=bool),
    )
    return {
        "score": points.score.tolist(),
        "share_fake": points.share_fake.tolist(),
        "clips": points.clips.tolist(),
    }
