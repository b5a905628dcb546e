"""A trained detector as the material of an evaluation."""

from collections.abc import Sequence
from pathlib import Path

import torch

from fakesound.augmentation.conditions import Condition
from fakesound.data.manifest import Clip, manifest_hash, read_manifest
from fakesound.errors import InputError
from fakesound.evaluation.inputs import read_score_files, remarks
from fakesound.evaluation.material import Material, Request, System, read_clips
from fakesound.evaluation.scorer import Hearing, score_clips
from fakesound.metrics import ClipScore
from fakesound.models.build import GRID
from fakesound.progress import progress_bar
from fakesound.scoring.checkpoint import Checkpoint, read_checkpoint
from fakesound.scoring.clip_score import with_head_thresholds
from fakesound.scoring.thresholds import Thresholds


def of_checkpoint(request: Request) -> Material:
    """Return what the detector of a checkpoint says of the clips.

    Raises:
        InputError: naming a file that cannot be used, or recordings that were trained on.
    """
    assert request.checkpoint is not None
    device = _device(request.device)
    checkpoint = read_checkpoint(request.checkpoint)
    clips, notes = read_clips(request)
    clips = _untrained(clips, checkpoint, request.drop_training_sources, notes)
    detector = checkpoint.detector(request.kernel)
    data = checkpoint.config.data
    hearing = Hearing(GRID, data.sample_rate, data.window_seconds, device)

    def fold(clip: Clip) -> str | None:
        if clip.attack is None or checkpoint.attacks is None:
            return None
        if clip.attack in checkpoint.selected_on:
            return None
        return "seen" if clip.attack in checkpoint.attacks else "unseen"

    def hear(condition: Condition | None = None) -> tuple[list[ClipScore], list[str]]:
        with progress_bar("scoring" if condition is None else condition.name) as progress:
            return score_clips(
                detector,
                clips,
                hearing,
                fold,
                condition,
                "skip" if request.allow_missing else "error",
                progress,
            )

    test, problems = hear()
    if not test:
        raise InputError(f"{request.manifest[0]}: none of its audio can be used")
    if checkpoint.attacks is None:
        notes.append("the checkpoint does not say which attacks it was trained on")
    validation: Sequence[ClipScore] = ()
    if request.validation_scores:
        validation, _ = read_score_files(request.validation_scores)

    def prepared(scores: list[ClipScore]) -> list[ClipScore]:
        # validation scores of a run are calibrated, and so must be what they judge
        scores = with_head_thresholds(scores, checkpoint.heads.thresholds)
        return checkpoint.calibrator.applied(scores) if validation else scores

    levels = checkpoint.thresholds
    return Material(
        systems=[System(name=request.checkpoint.name, test=prepared(test), validation=validation)],
        calibration="none" if validation else checkpoint.calibrator,
        thresholds=Thresholds(levels["clip"], levels["frame"]) if len(levels) == 2 else None,
        clips={clip.clip_id: clip for clip in clips},
        remarks=[*notes, *remarks(test), *(f"left out: {problem}" for problem in problems)],
        origin={
            "checkpoint": str(request.checkpoint),
            "manifest_hash": manifest_hash(clips),
            "device": device,
        },
        hear=lambda condition: prepared(hear(condition)[0]),
    )


def _device(name: str) -> str:
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"--device={name}: cannot be used ({reason}); take cpu") from None
    return name


def _untrained(
    clips: list[Clip], checkpoint: Checkpoint, drop: bool, notes: list[str]
) -> list[Clip]:
    """Return ``clips`` without recordings that the checkpoint was trained on.

    Raises:
        InputError: where there are such, unless they are to be dropped; or if none is left.
    """
    sources = _training_sources(checkpoint.path)
    trained = [clip for clip in clips if sources.intersection(clip.sources)]
    if not trained:
        return clips
    if not drop:
        raise InputError(
            f"clip {trained[0].clip_id}: its source {trained[0].source_id!r} was in training "
            f"({len(trained)} such clips); leave them out with --drop-training-sources"
        )
    notes.append(f"{len(trained)} clips of recordings in training are left out")
    left = {clip.clip_id for clip in clips} - {clip.clip_id for clip in trained}
    if not left:
        raise InputError("--drop-training-sources: no clip is left; give others")
    return [clip for clip in clips if clip.clip_id in left]


def _training_sources(path: Path) -> set[str]:
    """Return the sources that trained the checkpoint at ``path``, where its run tells."""
    manifest = path.parent.parent / "manifest.jsonl"
    if path.parent.name != "checkpoints" or not manifest.is_file():
        return set()
    rows = read_manifest(manifest, check_files=False)
    return {s for clip in rows if clip.split in ("train", "validation") for s in clip.sources}
