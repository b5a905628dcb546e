"""Log a run, its results and its files to Weights & Biases, a table or TensorBoard."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from fakesound.config import RunConfig
from fakesound.config.saved import identity
from fakesound.data.audio import read_audio
from fakesound.data.manifest import Clip
from fakesound.metrics import ClipScore
from fakesound.progress import console
from fakesound.provenance import software_version

# figures in the summary with their intervals
MAIN = ("clip/auc", "frame/auc", "segment_f1_20ms")
# longest time to wait for W&B at the start and at the end of a run
INIT_SECONDS = 30
FINISH_SECONDS = 120


def make_logger(config: RunConfig, plain: dict[str, Any], folder: Path) -> Logger | None:
    """Return the logger of a run, with its files under ``folder``; None if it is disabled.

    If W&B cannot be reached or no user is logged in, the run is logged offline, to be uploaded
    later with ``fakesound sync``; it is never stopped.
    """
    if config.logger.mode == "disabled" or getattr(rank_zero_only, "rank", 0) != 0:
        return None
    if config.logger.mode == "csv":
        return CSVLogger(folder, name="csv")
    if config.logger.mode == "tensorboard":
        return TensorBoardLogger(folder, name="tensorboard")
    # otherwise media of offline runs would be staged outside the folder of the run
    os.environ["WANDB_DATA_DIR"] = str(folder / "wandb")
    os.environ.setdefault("WANDB_SILENT", "true")
    try:
        run = _start(config, plain, folder, config.logger.mode)
    except wandb.Error as error:
        if config.logger.mode == "offline":
            raise
        reason = str(error).splitlines()[0]
        console.print(f"W&B: {reason}; logged offline, upload it later with `fakesound sync`")
        run = _start(config, plain, folder, "offline")
    # `log_results` writes the summary
    run.define_metric("trainer/global_step", summary="none")
    run.define_metric("*", step_metric="trainer/global_step", summary="none")
    return WandbLogger(experiment=run)


def _start(config: RunConfig, plain: dict[str, Any], folder: Path, mode: str) -> wandb.Run:
    settings = config.logger
    return wandb.init(
        project=settings.project,
        entity=settings.entity,
        name=f"{config.name} s{config.seed} {identity(config)[:4]}",
        job_type="train",
        notes=f"held out: {config.split.held_out}",
        group=settings.group,
        tags=list(config.tags),
        dir=folder,
        mode="offline" if mode == "offline" else "online",
        config=plain | {"fakesound": software_version()},
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
    """Log the main figures to the summary, and all figures and some clips as tables.

    Args:
        logger: logger of the run.
        results: content of ``metrics.json``.
        clips: clips to show.
        scores: scores of these clips, in the same order.
        pictures: file of the timeline of each clip, by clip id.
    """
    run = logger.experiment
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
    figures = wandb.Table(columns=["part", "figure", "value", "low", "high"])
    for part, block in blocks(results).items():
        for key, value in flatten(block).items():
            figures.add_data(part, key, value, *_bounds(block, key))
    run.log({"clips": table, "figures": figures})
    run.summary.update(summary(results))


def summary(results: Mapping[str, Any]) -> dict[str, float]:
    """Return the figures that compare runs, with intervals of the main ones.

    Args:
        results: content of ``metrics.json``.
    """
    figures = {"objective": results.get("objective")}
    test = results["test"]
    part = "unseen" if test.get("unseen") else "all"
    for key in MAIN:
        block = test.get(part) or {}
        low, high = _bounds(block, key)
        name = f"test/{part}/{key}"
        figures |= {name: block.get(key), f"{name}/low": low, f"{name}/high": high}
    figures[f"test/{part}/clip/eer"] = (test.get(part) or {}).get("clip/eer")
    figures |= {f"test/seen/{key}": (test.get("seen") or {}).get(key) for key in MAIN}
    origin = results.get("provenance") or {}
    figures["provenance/parameters"] = origin.get("parameters")
    figures["minutes"] = sum((origin.get("seconds") or {}).values()) / 60
    return {key: value for key, value in figures.items() if value is not None}


def blocks(results: Mapping[str, Any], prefix: str = "") -> dict[str, Mapping[str, Any]]:
    """Return the blocks of nested ``results`` that hold numbers, by their path."""
    blocks_by_path: dict[str, Mapping[str, Any]] = {}
    for key, value in results.items():
        if isinstance(value, Mapping) and key != "ci":
            name = f"{prefix}{key}"
            own = {k: v for k, v in value.items() if k == "ci" or not isinstance(v, Mapping)}
            if flatten(own):
                blocks_by_path[name] = own
            blocks_by_path |= blocks(value, f"{name}/")
    return blocks_by_path


def _bounds(block: Mapping[str, Any], key: str) -> tuple[float | None, float | None]:
    interval = (block.get("ci") or {}).get(key)
    return (None, None) if interval is None else (interval[0], interval[1])


def log_artifacts(logger: WandbLogger, config: RunConfig, folder: Path) -> None:
    """Log the checkpoint, the report and the manifest of a run, each as an artifact.

    Args:
        logger: logger of the run.
        config: configuration of the run.
        folder: folder of the run.
    """
    # characters that W&B allows in names
    name = re.sub(r"[^\w.-]+", "-", config.name).strip("-")
    kinds = {
        "model": (folder / "checkpoints" / "best.ckpt", "best"),
        "report": (folder / "report.html", "final"),
        "manifest": (folder / "manifest.jsonl", "used"),
    }
    for kind, (path, alias) in kinds.items():
        artifact = wandb.Artifact(f"{name}-{kind}", type=kind)
        artifact.add_file(str(path), name=path.name)
        logger.experiment.log_artifact(artifact, aliases=[alias, f"seed-{config.seed}"])


def flatten(results: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Return the numbers of nested ``results``, without intervals, under keys joined by slashes."""
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
    """Close the W&B run, so that the next one in this process is separate.

    Data that cannot be uploaded in time stays in the folder of the run.
    """
    if wandb.run is None:
        return
    folder = Path(wandb.run.dir).parent
    try:
        wandb.finish(exit_code=int(failed))
    except (TimeoutError, wandb.Error) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        console.print(f"W&B: {reason}; upload the run later with `wandb sync {folder}`")
