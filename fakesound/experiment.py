"""One run from start to end: prepare, train, choose thresholds, test, write."""

import json
import logging
import os
import time
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from filelock import FileLock
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.loggers import WandbLogger

from fakesound import processes, provenance, tracking
from fakesound.build import (
    build_datamodule,
    build_initial,
    build_module,
    build_trainer,
    used_kernel,
)
from fakesound.checkpoints import annotate_checkpoint
from fakesound.composition import identity
from fakesound.config import RunConfig
from fakesound.data.manifest import manifest_hash, write_manifest
from fakesound.data.splits import Split
from fakesound.datamodule import ClipDataModule
from fakesound.evaluation.results import Judged, audit, figures, judge
from fakesound.forging import Corpus
from fakesound.metrics import ClipScore, Prior, subsets, write_scores
from fakesound.module import MultiTaskModule
from fakesound.progress import console, progress_bar
from fakesound.reporting import choose_clips, read_run, write_report, write_timelines
from fakesound.scoring import FAKE_SHARE


def run_experiment(config: RunConfig, corpus: Corpus, folder: Path) -> dict[str, Any]:
    """Return what ``metrics.json`` holds of the run in ``folder``, made or completed.

    With ``resume="auto"`` training goes on from the folder's last checkpoint. Where several
    processes train, the first one returns this and the others nothing.

    Raises:
        InputError: if the configuration or the data is wrong.
    """
    seconds: dict[str, float] = {}
    plain = asdict(config)
    if processes.place().rank == 0:
        write_text(folder / "config.yaml", yaml.safe_dump(plain, sort_keys=False))
        write_text(folder / "identity", identity(config) + "\n")
    quieten()

    # before anything that takes long, since it may not fit
    initial = build_initial(config)
    datamodule = build_datamodule(config, corpus)
    with timed(seconds, "prepare"):
        with forging_alone(corpus):
            datamodule.prepare_data()
        datamodule.setup()
    with timed(seconds, "train"):
        module = build_module(config, datamodule.train_crops, initial)
        logger = tracking.make_logger(config, plain, folder)
        trainer = build_trainer(config, folder, logger)
        # the module has the weights now; a second copy is not kept through the training
        started_from, initial = initial.report if initial else None, None
        if started_from is not None and trainer.is_global_zero:
            console.print(started_from.table())
        last = folder / "checkpoints" / "last.ckpt"
        resumed = config.resume == "auto" and last.is_file()
        if trainer.is_global_zero:
            # whatever is wrong with the data or the configuration would have been found by now
            processes.tell(folder)
        trainer.fit(module, datamodule=datamodule, ckpt_path=str(last) if resumed else None)
    with timed(seconds, "evaluate"):
        best = str(folder / "checkpoints" / "best.ckpt")
        validation, test = score(trainer, module, datamodule, best)
        if not trainer.is_global_zero:
            return {}
        judged = judge(test, validation, config.calibration)
        prior = Prior(FAKE_SHARE, module.learning.frame_prior)
        shown = config.report
        with progress_bar("measuring") as progress:
            results = figures(judged, prior, shown.draws, config.seed, shown.confidence, progress)
        unseen = {clip.clip_id for clip in subsets(judged.test).unseen}
        results["audit"] = audit(datamodule.split.test, unseen)
    results["provenance"] = origin(config, datamodule, module) | {
        "processes": trainer.world_size,
        "resumed": resumed,
        "init": started_from and started_from.summary(),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
    }
    split = datamodule.split
    carry(judged, split, Path(best))
    write_manifest(folder / "manifest.jsonl", [*split.train, *split.validation, *split.test])
    write_scores(folder / "validation_scores.jsonl", judged.validation)
    write_scores(folder / "scores.jsonl", judged.test)
    publish(config, folder, results, logger)
    return results


def score(
    trainer: lightning.Trainer, module: MultiTaskModule, datamodule: ClipDataModule, best: str
) -> tuple[list[ClipScore], list[ClipScore]]:
    """Return the validation and test scores of checkpoint ``best``, raw."""
    # A checkpoint's weights are the averaged ones. The callback, which keeps the others in it too,
    # would put those in their place for the test, and only for the test.
    averaging = [c for c in trainer.callbacks if isinstance(c, WeightAveraging)]  # type: ignore[attr-defined]
    for callback in averaging:
        trainer.callbacks.remove(callback)  # type: ignore[attr-defined]
    trainer.validate(module, datamodule=datamodule, ckpt_path=best, verbose=False)
    validation = module.scores
    trainer.test(module, datamodule=datamodule, ckpt_path=best, verbose=False)
    return validation, module.scores


def carry(judged: Judged, split: Split, best: Path) -> None:
    """Put into checkpoint ``best`` what a detector needs beside its weights."""
    attacks = sorted({clip.attack for clip in split.train if clip.attack is not None})
    thresholds = judged.thresholds
    assert thresholds is not None
    levels = {"clip": thresholds.clip, "frame": thresholds.frame}
    annotate_checkpoint(best, levels, judged.calibrator, attacks, split.inner_held_out)


def origin(
    config: RunConfig, datamodule: ClipDataModule, module: MultiTaskModule
) -> dict[str, Any]:
    """Return what a result depends on: code, versions, machine, data."""
    split = datamodule.split
    return {
        "git": provenance.git_state(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "threads": torch.get_num_threads(),
        "device": str(module.device),
        "kernel": used_kernel(config, module),
        "parameters": sum(p.numel() for p in module.detector.parameters()),
        "seed": config.seed,
        "config_hash": identity(config),
        "manifest_hash": manifest_hash([*split.train, *split.validation, *split.test]),
        "held_out": list(split.held_out),
        "inner_held_out": list(split.inner_held_out),
        "left_out": datamodule.left_out,
        "notes": list(datamodule.corpus.notes),
    }


def publish(
    config: RunConfig, folder: Path, results: dict[str, Any], logger: WandbLogger | None
) -> None:
    """Write the report and ``metrics.json``, and log the results.

    ``metrics.json`` comes last: a folder that holds it is finished.
    """
    pending = folder / "metrics.json.part"
    write_text(pending, json.dumps(results, indent=1, allow_nan=False) + "\n")
    run = read_run(folder, metrics=pending)
    write_report(run, folder / "report.html", config.report.examples)
    if logger is not None:
        shown = choose_clips(run, config.logger.table_clips)
        pictures = write_timelines(run, folder / "timelines", [s.clip_id for s in shown])
        clips = [run.clips[score.clip_id] for score in shown]
        tracking.log_results(logger, results, clips, shown, pictures)
    pending.replace(folder / "metrics.json")


def forging_alone(corpus: Corpus) -> AbstractContextManager[object]:
    """Let one run at a time forge ``corpus``; those beside it wait and take what it made."""
    folder = corpus.folder
    if not corpus.jobs or (folder.exists() and not os.access(folder, os.W_OK)):
        return nullcontext()
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / ".lock")


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the time spent inside to ``seconds``."""
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` at once: the file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def quieten() -> None:
    """Keep remarks of lightning that users can do nothing about off the terminal."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*LeafSpec.*",
        ".*calling `WeightAveraging`.*",
        # the argument in its place does something else
        ".*`broadcast_buffers` is deprecated.*",
        # what is logged is computed of all clips on every process
        ".*recommended to use `self.log.*sync_dist=True.*",
        # scores are of every clip, once, however many processes there are
        ".*it is recommended to use `Trainer\\(devices=1, num_nodes=1\\)`.*",
        ".*callbacks used to create the checkpoint need to be provided.*",
    ):
        warnings.filterwarnings("ignore", message)
