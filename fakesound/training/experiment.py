"""One run from start to end: prepare, train, choose thresholds, test, write."""

import json
import logging
import os
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
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

from fakesound import provenance
from fakesound.config import RunConfig
from fakesound.config.saved import identity
from fakesound.data.hashes import HASHES, audio_hashes, hash_list, hash_of, read_list
from fakesound.data.manifest import Clip, manifest_hash, write_manifest
from fakesound.data.splits import Split
from fakesound.errors import InputError, OutsideError
from fakesound.evaluation.results import CalibratedScores, apply_calibration, audit, figures
from fakesound.files import clear_remains, write_whole
from fakesound.forging import Corpus
from fakesound.metrics import ClipScore, Prior, subsets, write_scores
from fakesound.models.build import build_initial, used_kernel
from fakesound.progress import console, progress_bar
from fakesound.report import choose_clips, read_run, write_report, write_timelines
from fakesound.scoring.checkpoint import annotate_checkpoint
from fakesound.scoring.clip_score import FAKE_SHARE
from fakesound.scoring.thresholds import OperatingPoint
from fakesound.training import processes, tracking
from fakesound.training.datamodule import ClipDataModule
from fakesound.training.module import MultiTaskModule
from fakesound.training.resuming import start_from
from fakesound.training.trainer import build_datamodule, build_module, build_trainer


def run_experiment(
    config: RunConfig,
    corpus: Corpus,
    folder: Path,
    look: Callable[[Sequence[Clip], Mapping[str, str]], None] = lambda clips, hashes: None,
) -> dict[str, Any]:
    """Return what ``metrics.json`` holds of the run in ``folder``, made or completed.

    With ``resume="auto"`` training goes on from the folder's last checkpoint that is whole. Where
    several processes train, the first one returns this and the others nothing.

    Args:
        config: of the run.
        corpus: what it works on.
        folder: where its files go; no other run works there.
        look: is shown the clips and the hashes of their audio before the training.

    Raises:
        InputError: if the configuration or the data is wrong.
        OutsideError: if a process that loads or forges was killed.
    """
    seconds: dict[str, float] = {}
    plain = asdict(config)
    if processes.place().rank == 0:
        clear_remains(folder)
        write_whole(folder / "config.yaml", yaml.safe_dump(plain, sort_keys=False))
        write_whole(folder / "identity", identity(config) + "\n")
    quieten()

    # before anything that takes long, since it may not fit
    initial = build_initial(config)
    datamodule = build_datamodule(config, corpus)
    with timed(seconds, "prepare"):
        with forging_alone(corpus):
            datamodule.prepare_data()
        datamodule.setup()
        split = datamodule.split
        clips = [*split.train, *split.validation, *split.test]
        start = start_from(folder / "checkpoints") if config.resume == "auto" else None
        hashes = {}
        if processes.place().rank == 0:
            hashes = hashed(clips, folder, resumed=start is not None)
        look(clips, hashes)
    with timed(seconds, "train"), deaths_told():
        module = build_module(config, datamodule.train_crops, initial)
        logger = tracking.make_logger(config, plain, folder)
        trainer = build_trainer(config, folder, logger)
        # the module has the weights now; a second copy is not kept through the training
        started_from, initial = initial.report if initial else None, None
        if started_from is not None and trainer.is_global_zero:
            console.print(started_from.table())
        if trainer.is_global_zero:
            # whatever is wrong with the data or the configuration would have been found by now
            processes.tell(folder)
        trainer.fit(module, datamodule=datamodule, ckpt_path=start and str(start))
    with timed(seconds, "evaluate"), deaths_told():
        best = str(folder / "checkpoints" / "best.ckpt")
        validation, test = score(trainer, module, datamodule, best)
        if not trainer.is_global_zero:
            return {}
        point = OperatingPoint(**vars(config.decision))
        calibrated = apply_calibration(test, validation, config.calibration, point=point)
        prior = Prior(FAKE_SHARE, module.balance.frame_prior)
        shown = config.report
        with progress_bar("measuring") as progress:
            results = figures(
                calibrated, prior, shown.draws, config.seed, shown.confidence, progress
            )
        unseen = {clip.clip_id for clip in subsets(calibrated.test).unseen}
        results["audit"] = audit(datamodule.split.test, unseen)
    results["provenance"] = origin(config, datamodule, module) | {
        "audio_hash": hash_of(hashes),
        "precision": str(trainer.precision),
        "processes": trainer.world_size,
        "resumed": start is not None,
        "init": started_from and started_from.summary(),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
    }
    carry(calibrated, split, Path(best))
    write_manifest(folder / "manifest.jsonl", clips)
    write_scores(folder / "validation_scores.jsonl", calibrated.validation)
    write_scores(folder / "scores.jsonl", calibrated.test)
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


def carry(calibrated: CalibratedScores, split: Split, best: Path) -> None:
    """Put into checkpoint ``best`` what a detector needs beside its weights."""
    attacks = sorted({clip.attack for clip in split.train if clip.attack is not None})
    thresholds = calibrated.thresholds
    assert thresholds is not None
    levels = {"clip": thresholds.clip, "frame": thresholds.frame}
    annotate_checkpoint(
        best,
        levels,
        calibrated.calibrator,
        attacks,
        split.inner_held_out,
        calibrated.hypotheses,
        {source for clip in (*split.train, *split.validation) for source in clip.sources},
    )


def origin(
    config: RunConfig, datamodule: ClipDataModule, module: MultiTaskModule
) -> dict[str, Any]:
    """Return what a result depends on: code, versions, machine, data."""
    split = datamodule.split
    return {
        "git": provenance.git_state(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        **provenance.process(),
        "threads": torch.get_num_threads(),
        "device": str(module.device),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul_precision": torch.get_float32_matmul_precision(),
        "kernel": used_kernel(config, module),
        "parameters": sum(p.numel() for p in module.detector.parameters()),
        "seed": config.seed,
        "config_hash": identity(config),
        "manifest_hash": manifest_hash([*split.train, *split.validation, *split.test]),
        "clips": {
            "train": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
        },
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
    write_whole(pending, json.dumps(results, indent=1, allow_nan=False) + "\n")
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


def hashed(clips: Sequence[Clip], folder: Path, resumed: bool) -> dict[str, str]:
    """Return the hashes of the audio of ``clips``, and list them in ``folder``.

    Raises:
        InputError: if a run that is resumed began with other audio.
    """
    with progress_bar("hashing audio") as progress:
        hashes = audio_hashes(clips, progress)
    listed = hash_list(hashes, folder)
    path = folder / HASHES
    before = read_list(path.read_text(encoding="utf-8")) if resumed and path.is_file() else {}
    # whatever the places: the run may have been moved
    if before and Counter(before.values()) != Counter(hashes.values()):
        common = set(before.values()) & set(hashes.values())
        both = [*before.items(), *read_list(listed).items()]
        places = sorted({place for place, digest in both if digest not in common})
        raise InputError(
            f"{folder}: was begun with other audio ({', '.join(places[:3]) or 'other copies'}); "
            "start anew with resume=never"
        )
    write_whole(path, listed)
    return hashes


@contextmanager
def deaths_told() -> Iterator[None]:
    """Turn the end of a process that loads data into an `OutsideError`."""
    try:
        yield
    except RuntimeError as error:
        # torch has no error of its own for it
        if "DataLoader worker" not in str(error):
            raise
        raise OutsideError(
            f"a process that loads data ended ({str(error).splitlines()[0].strip().rstrip('.')}); "
            "if memory ran out, take fewer data.workers; resume=auto goes on"
        ) from error


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Add the time spent inside to ``seconds``."""
    start = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - start


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
        # the sampler begins where the run stood
        ".*resuming from a checkpoint that ended before the epoch ended.*",
    ):
        warnings.filterwarnings("ignore", message)
