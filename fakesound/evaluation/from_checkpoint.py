"""Score the clips of an evaluation with a trained detector."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from fakesound.augmentation.conditions import Condition
from fakesound.data.manifest import Clip, manifest_hash, read_manifest
from fakesound.errors import InputError
from fakesound.evaluation.inputs import EvaluationInputs, System, read_clips
from fakesound.evaluation.score_files import read_score_files, warnings_of
from fakesound.evaluation.scorer import score_conditions
from fakesound.metrics import ClipScore
from fakesound.progress import progress_bar
from fakesound.scoring.checkpoint import Checkpoint, read_checkpoint, source_hash, torch_device
from fakesound.scoring.clip_score import with_head_thresholds
from fakesound.scoring.thresholds import Thresholds


def inputs_from_checkpoint(options: Namespace) -> EvaluationInputs:
    """Score the clips of the manifests with the detector of a checkpoint.

    Args:
        options: options of ``fakesound evaluate``.

    Raises:
        InputError: naming a file that cannot be used, or a recording used in training.
    """
    device = torch_device(options.device)
    checkpoint = read_checkpoint(options.checkpoint)
    clips, warnings = read_clips(options)
    clips = _without_training_clips(clips, checkpoint, options.drop_training_sources, warnings)
    detector = checkpoint.detector(options.kernel)
    data = checkpoint.config.data

    def score(
        conditions: Sequence[Condition | None], title: str
    ) -> tuple[list[list[ClipScore]], list[str]]:
        try:
            with progress_bar(title) as progress:
                return score_conditions(
                    conditions,
                    detector,
                    clips,
                    data.sample_rate,
                    data.window_seconds,
                    lambda clip: checkpoint.fold(clip.attack),
                    device,
                    "skip" if options.allow_missing else "error",
                    progress,
                )
        except InputError as error:
            raise InputError(f"{error}, or skip such clips with --allow-missing") from None

    (test,), skipped = score((None,), "scoring")
    if not test:
        raise InputError(f"{options.manifest[0]}: no clip has audio that can be read")
    if checkpoint.attacks is None:
        warnings.append("the checkpoint does not list the attacks in its training")
    validation: Sequence[ClipScore] = ()
    if options.validation_scores:
        validation, _ = read_score_files(options.validation_scores)

    def apply_checkpoint(scores: list[ClipScore]) -> list[ClipScore]:
        # scores are calibrated here if thresholds come from the validation scores of a run, which
        # are calibrated
        scores = with_head_thresholds(scores, checkpoint.heads.thresholds)
        return checkpoint.calibrator.apply(scores) if validation else scores

    known = checkpoint.thresholds
    return EvaluationInputs(
        systems=[
            System(name=options.checkpoint.name, test=apply_checkpoint(test), validation=validation)
        ],
        calibration="none" if validation else checkpoint.calibrator,
        thresholds=Thresholds(known["clip"], known["frame"]) if len(known) == 2 else None,
        clips={clip.clip_id: clip for clip in clips},
        warnings=[*warnings, *warnings_of(test), *(f"skipped: {fault}" for fault in skipped)],
        origin={
            "checkpoint": str(options.checkpoint),
            "manifest_hash": manifest_hash(clips),
            "device": device,
        },
        rescore=lambda conditions: [
            apply_checkpoint(scores) for scores in score(conditions, "conditions")[0]
        ],
    )


def _without_training_clips(
    clips: list[Clip], checkpoint: Checkpoint, drop: bool, warnings: list[str]
) -> list[Clip]:
    """Return ``clips`` without recordings that the checkpoint was trained on.

    Raises:
        InputError: if there are such clips, unless ``drop`` is set; or if no clip is left.
    """
    sources = _training_sources(checkpoint)
    if sources is None:
        warnings.append(
            "the checkpoint does not list the recordings in its training: some of these clips may "
            "be among them"
        )
        return clips
    trained = [clip for clip in clips if any(source_hash(s) in sources for s in clip.sources)]
    if not trained:
        return clips
    if not drop:
        raise InputError(
            f"clip {trained[0].clip_id}: its source {trained[0].source_id!r} was in training "
            f"({len(trained)} such clips); skip them with --drop-training-sources"
        )
    warnings.append(f"{len(trained)} clips are skipped: their recordings were in training")
    skipped = {clip.clip_id for clip in trained}
    if len(skipped) == len(clips):
        raise InputError("--drop-training-sources: no clip is left; give other manifests")
    return [clip for clip in clips if clip.clip_id not in skipped]


def _training_sources(checkpoint: Checkpoint) -> frozenset[str] | None:
    """Return the hashes of the recordings in training; of an unfinished run, from its manifest."""
    if checkpoint.sources is not None:
        return checkpoint.sources
    return run_sources(checkpoint, ("train", "validation"))


def run_sources(checkpoint: Checkpoint, splits: Sequence[str]) -> frozenset[str] | None:
    """Return the hashes of the recordings in ``splits`` of the run of a checkpoint.

    They are read from the manifest of the run; None for a checkpoint outside its run.
    """
    path: Path = checkpoint.path
    manifest = path.parent.parent / "manifest.jsonl"
    if path.parent.name != "checkpoints" or not manifest.is_file():
        return None
    clips = [clip for clip in read_manifest(manifest, check_files=False) if clip.split in splits]
    return frozenset(source_hash(source) for clip in clips for source in clip.sources)
