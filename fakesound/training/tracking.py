"""Weights & Biases: the run, its final figures, and a table of clips to look at and listen to."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from fakesound.config import RunConfig
from fakesound.data.audio import read_audio
from fakesound.data.manifest import Clip
from fakesound.metrics import ClipScore
from fakesound.progress import console

# longest wait for W&B before the run continues, or ends, without it
INIT_SECONDS = 30
FINISH_SECONDS = 120


def make_logger(config: RunConfig, plain: dict[str, Any], folder: Path) -> WandbLogger | None:
    """Return the W&B logger of a run whose files stay under ``folder``; None if it is disabled.

    Where W&B cannot be reached, or no one is logged in, the run is kept offline, to be sent later
    with ``wandb sync``; it is never stopped.
    """
    if config.logger.mode == "disabled" or getattr(rank_zero_only, "rank", 0) != 0:
        return None
    # media of offline runs would otherwise be staged outside the run's folder
    os.environ["WANDB_DATA_DIR"] = str(folder / "wandb")
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        run = _start(config, plain, folder, config.logger.mode)
    except wandb.Error as error:
        if config.logger.mode == "offline":
            raise
        reason = str(error).splitlines()[0]
        console.print(f"W&B: {reason}; this run is kept offline, send it later with `wandb sync`")
        run = _start(config, plain, folder, "offline")
    run.define_metric("validation/selection", summary="max")
    run.define_metric("validation/clip/auc", summary="max")
    run.define_metric("validation/frame/auc", summary="max")
    return WandbLogger(experiment=run)


def _start(config: RunConfig, plain: dict[str, Any], folder: Path, mode: str) -> wandb.Run:
    settings = config.logger
    return wandb.init(
        project=settings.project,
        entity=settings.entity,
        name=config.name,
        group=settings.group,
        tags=list(config.tags),
        dir=folder,
        mode="offline" if mode == "offline" else "online",
        config=plain,
        settings=wandb.Settings(
            init_timeout=INIT_SECONDS,
            login_timeout=INIT_SECONDS,
            finish_timeout=FINISH_SECONDS,
            finish_timeout_raises=True,
        ),
    )


def log_results(
    logger: WandbLogger,
    results: Mapping[str, Any],
    clips: Sequence[Clip],
    scores: Sequence[ClipScore],
    pictures: Mapping[str, Path],
) -> None:
    """Log the figures of ``metrics.json`` and a table of ``clips`` with audio and timelines.

    Args:
        logger: logger of the run.
        results: what ``metrics.json`` holds.
        clips: clips to show.
        scores: scores of these clips, in their order.
        pictures: file of the timeline of each clip, by its id.
    """
    run = logger.experiment
    run.summary.update(flatten(results))
    columns: list[str | int] = ["clip", "label", "attack", "fold", "score", "timeline", "audio"]
    table = wandb.Table(columns=columns)
    for clip, score in zip(clips, scores, strict=True):
        audio = read_audio(clip.location, clip.sample_rate)
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
    """Close the W&B run, so that the next one in this process is a run of its own.

    What cannot be sent in time stays in the run's folder.
    """
    if wandb.run is None:
        return
    place = Path(wandb.run.dir).parent
    try:
        wandb.finish(exit_code=int(failed))
    except (TimeoutError, wandb.Error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        console.print(f"W&B: {reason}; send the run later with `wandb sync {place}`")
