"""Calibrate a trained detector, and select its thresholds, on clips that it was not trained on."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from fakesound.clip import Clip
from fakesound.data.manifest import read_manifest
from fakesound.errors import InputError
from fakesound.evaluation.from_checkpoint import run_sources
from fakesound.evaluation.results import apply_calibration
from fakesound.evaluation.scorer import score_clips
from fakesound.progress import print_line
from fakesound.scoring.checkpoint import Checkpoint, source_hash, with_hypotheses
from fakesound.scoring.clip_score import HeadCalibration, head_thresholds


def calibrate(
    checkpoint: Checkpoint,
    clips: Sequence[Clip],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Checkpoint:
    """Return ``checkpoint`` with calibrators and thresholds fitted on ``clips``.

    The weights stay the same, except for the calibrators of the two hypotheses of a clip. The
    thresholds satisfy the ``decision`` settings of the training run. A warning is printed if all
    scores become equal.

    Args:
        checkpoint: trained detector.
        clips: genuine and fake clips of recordings that are not in training.
        progress: function called with the number of scored clips and their total.
    """
    config, trained_on = checkpoint.config, checkpoint.attacks or ()

    def fold(clip: Clip) -> str | None:
        return ("seen" if clip.attack in trained_on else "unseen") if clip.is_fake else None

    scores, _ = score_clips(
        checkpoint.detector(),
        clips,
        config.data.sample_rate,
        config.data.window_seconds,
        fold=fold,
        progress=progress,
    )
    calibrated = apply_calibration([], scores, config.calibration, decision=config.decision)
    assert calibrated.thresholds is not None
    if calibrated.constant is not None:
        print_line(f"warning: {calibrated.constant}")
    return replace(
        checkpoint,
        weights=with_hypotheses(checkpoint.weights, calibrated.hypotheses),
        thresholds={"clip": calibrated.thresholds.clip, "frame": calibrated.thresholds.frame},
        calibrator=calibrated.calibrator,
        heads=HeadCalibration(checkpoint.heads.families, head_thresholds(calibrated.validation)),
    )


def calibrate_on_manifests(
    checkpoint: Checkpoint,
    manifests: Sequence[Path],
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Checkpoint:
    """Return ``checkpoint`` calibrated on all clips of ``manifests``; see `calibrate`.

    A checkpoint outside its run lists the recordings of training and validation together, and
    neither may be used. An old one lists none, and is not checked.

    Raises:
        InputError: naming a manifest without genuine clips or without fakes, or a clip whose
            recording was in training.
    """
    clips = [clip for path in manifests for clip in read_manifest(path)]
    named = f"--calibrate={','.join(map(str, manifests))}"
    for label, found in (("genuine", False), ("fake", True)):
        if not any(clip.is_fake == found for clip in clips):
            raise InputError(f"{named}: has no {label} clips; calibration needs both labels")
    trained = run_sources(checkpoint, ("train",)) or checkpoint.sources or frozenset()
    seen = [clip for clip in clips if any(source_hash(s) in trained for s in clip.sources)]
    if seen:
        raise InputError(
            f"{named}: the recording {seen[0].source_id!r} of clip {seen[0].clip_id} was in "
            f"training ({len(seen)} such clips); remove these clips"
        )
    calibrated = calibrate(checkpoint, clips, progress)
    attacks = {clip.attack for clip in clips if clip.attack} - set(checkpoint.attacks or ())
    sources = frozenset(source_hash(source) for clip in clips for source in clip.sources)
    return replace(
        calibrated,
        selected_on=tuple(sorted(attacks)),
        # a list of only these recordings would pass for all that the detector has seen
        sources=None if checkpoint.sources is None else checkpoint.sources | sources,
    )
