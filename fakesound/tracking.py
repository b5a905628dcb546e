"""Weights & Biases: the run, its final figures, and a table of clips to look at and listen to."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger

from fakesound.config import RunConfig
from fakesound.data.audio import read_audio
from fakesound.data.manifest import Clip
from fakesound.metrics import ClipScore


def make_logger(config: RunConfig, plain: dict[str, Any], folder: Path) -> WandbLogger | None:
    """Return the W&B logger of a run whose files stay under ``folder``; None if it is disabled.

    Without a network, or where W&B cannot be reached, the run is kept offline; it never stops a
    run.
    """
    settings = config.logger
    if settings.mode == "disabled":
        return None
    # media of offline runs would otherwise be staged outside the run's folder
    os.environ["WANDB_DATA_DIR"] = str(folder / "wandb")
    os.environ.setdefault("WANDB_SILENT", "true")
    logger = WandbLogger(
        project=settings.project,
        entity=settings.entity,
        name=config.name,
        group=settings.group,
        tags=list(config.tags),
        save_dir=folder,
        offline=settings.mode == "offline",
        config=plain,
    )
    run = logger.experiment
    run.define_metric("validation/selection", summary="max")
    run.define_metric("validation/clip/auc", summary="max")
    run.define_metric("validation/frame/auc", summary="max")
    return logger


def log_results(
    logger: WandbLogger,
    results: Mapping[str, Any],
    clips: Sequence[Clip],
    scores: Sequence[ClipScore],
    pictures: Mapping[str, Path],
) -> None:
    """Log the figures of ``metrics.json`` and a table of ``clips`` with audio and timelines.

    Args:
        logger: of the run.
        results: what ``metrics.json`` holds.
        clips: to show.
        scores: of these clips, in their order.
        pictures: file of the timeline of each clip, by its id.
    """
    run = logger.experiment
    run.summary.update(flatten(results))
    columns: list[str | int] = ["clip", "label", "attack", "fold", "score", "timeline", "audio"]
    table = wandb.Table(columns=columns)
    for clip, score in zip(clips, scores, strict=True):
        audio = read_audio(clip.path, clip.sample_rate)
        table.add_data(
            clip.clip_id,
            clip.label,
            clip.attack,
            score.fold,
            score.score,
            wandb.Image(str(pictures[clip.clip_id])),
            wandb.Audio(audio, sample_rate=clip.sample_rate),
        )
    run.log({"clips": table})


def flatten(results: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of nested ``results`` under keys joined by slashes, intervals left out."""
    flat: dict[str, float] = {}
    for key, value in results.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            if key != "ci":
                flat |= flatten(value, f"{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            flat[name] = value
    return flat


def finish(failed: bool) -> None:
    """Close the W&B run, so that the next one in this process is a run of its own."""
    if wandb.run is not None:
        wandb.finish(exit_code=int(failed))
