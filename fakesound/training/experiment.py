"""Do one run: prepare, train, choose thresholds, test and write results."""

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
from lightning.pytorch.loggers import Logger, WandbLogger

from fakesound import provenance
from fakesound.config import RunConfig
from fakesound.config.saved import identity
from fakesound.data.hashes import HASHES, audio_hashes, hash_list, hash_of, read_list
from fakesound.data.manifest import Clip, manifest_hash, write_manifest
from fakesound.data.splits import Split
from fakesound.errors import InputError, OutsideError
from fakesound.evaluation.results import CalibratedScores, apply_calibration, audit, compute_metrics
from fakesound.files import clear_remains, write_whole
from fakesound.forging import Corpus
from fakesound.metrics import ClipScore, Prior, subsets, write_scores
from fakesound.models.build import build_initial, used_kernel
from fakesound.progress import console, log, log_file, print_line, progress_bar
from fakesound.report import choose_clips, read_run, summary, write_report, write_timelines
from fakesound.scoring.checkpoint import annotate_checkpoint
from fakesound.scoring.thresholds import FAKE_SHARE
from fakesound.training import tracking
from fakesound.training.checkpoints import BEST, latest_checkpoint
from fakesound.training.datamodule import ClipDataModule
from fakesound.training.distributed import CONFIGURATION, current_rank, publish_run_dir
from fakesound.training.module import MultiTaskModule
from fakesound.training.plan import announce_plan, announce_stage
from fakesound.training.run_folder import DONE, IDENTITY, RUN_LOG, note_code
from fakesound.training.trainer import build_datamodule, build_module, build_trainer

# called with the clips and the hashes of their audio before training
DataCallback = Callable[[Sequence[Clip], Mapping[str, str]], None]


def run_experiment(
    config: RunConfig,
    corpus: Corpus,
    folder: Path,
    on_data_ready: DataCallback = lambda clips, hashes: None,
) -> dict[str, Any]:
    """Train, test and report; return the content of ``metrics.json``.

    With ``resume="auto"``, training resumes from the last undamaged checkpoint in the folder. If
    several processes train, only the first one returns results. The random state of the caller
    does not change. The W&B run is closed, also after an error.

    Args:
        config: configuration of the run.
        corpus: clips, or jobs of the forge.
        folder: folder of the run, which no other run uses.
        on_data_ready: function of the clips and the hashes of their audio.

    Raises:
        InputError: if the configuration or the data is invalid.
        OutsideError: if a process that loads or forges was killed.
    """
    failed = True
    first = current_rank().rank == 0
    with log_file(folder / RUN_LOG) if first else nullcontext():
        try:
            with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
                results = _run(config, corpus, folder, on_data_ready)
            failed = False
        except BaseException as error:
            log.info("stopped: %s", str(error) or type(error).__name__)
            raise
        finally:
            tracking.finish(failed)
    return results


def prepare(config: RunConfig, corpus: Corpus) -> ClipDataModule:
    """Return the data module of a run; forge missing clips, one run at a time."""
    datamodule = build_datamodule(config, corpus)
    with forging_alone(corpus):
        datamodule.prepare_data()
    return datamodule


def _run(
    config: RunConfig, corpus: Corpus, folder: Path, on_data_ready: DataCallback
) -> dict[str, Any]:
    seconds: dict[str, float] = {}
    cpu_seconds: dict[str, float] = {}
    plain = asdict(config)
    first = current_rank().rank == 0
    if first:
        clear_remains(folder)
        write_whole(folder / CONFIGURATION, yaml.safe_dump(plain, sort_keys=False))
        write_whole(folder / IDENTITY, identity(config) + "\n")
        announce_plan(config, folder)
    silence_warnings()

    # before any slow step, since the weights may not fit the model
    initial = build_initial(config)
    with timed(seconds, cpu_seconds, "prepare"):
        datamodule = prepare(config, corpus)
        datamodule.setup()
        split = datamodule.split
        clips = [*split.train, *split.validation, *split.test]
        start = latest_checkpoint(folder / "checkpoints") if config.resume == "auto" else None
        hashes, notes = {}, list(corpus.notes)
        if first:
            hashes = hash_audio_files(clips, folder, resumed=start is not None)
            if (note := note_code(folder, resumed=start is not None)) is not None:
                print_line(note)
                notes.append(note)
        on_data_ready(clips, hashes)
    with timed(seconds, cpu_seconds, "train"), worker_crash_as_error():
        torch.manual_seed(config.seed)
        module = build_module(config, datamodule.train_crops, initial)
        logger = tracking.make_logger(config, plain, folder)
        trainer = build_trainer(config, folder, logger)
        # frees the second copy of the weights, which the module now has
        started_from, initial = initial.report if initial else None, None
        if started_from is not None and trainer.is_global_zero:
            console.print(started_from.table())
        if trainer.is_global_zero:
            # errors in the data or the configuration would have been raised before
            publish_run_dir(folder)
        trainer.fit(module, datamodule=datamodule, ckpt_path=start and str(start))
    with timed(seconds, cpu_seconds, "evaluate"), worker_crash_as_error():
        best = str(folder / "checkpoints" / BEST)
        validation, test = score(trainer, module, datamodule, best)
        if not trainer.is_global_zero:
            return {}
        calibrated = apply_calibration(
            test, validation, config.calibration, decision=config.decision
        )
        if calibrated.constant is not None:
            print_line(f"warning: {calibrated.constant}")
            notes.append(calibrated.constant)
        results = measure(config, calibrated, module.balance.frame_prior, split.test)
    results["provenance"] = describe_run(config, datamodule, module) | {
        "audio_hash": hash_of(hashes),
        "notes": notes,
        "precision": str(trainer.precision),
        "processes": trainer.world_size,
        "resumed": start is not None,
        "init": started_from and started_from.summary(),
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        # all threads of this process
        "cpu_seconds": {name: round(value, 1) for name, value in cpu_seconds.items()},
    }
    save_calibration(calibrated, split, Path(best))
    write_manifest(folder / "manifest.jsonl", clips)
    write_scores(folder / "validation_scores.jsonl", calibrated.validation)
    write_scores(folder / "scores.jsonl", calibrated.test)
    write_results(config, folder, results, logger)
    return results


def score(
    trainer: lightning.Trainer, module: MultiTaskModule, datamodule: ClipDataModule, best: str
) -> tuple[list[ClipScore], list[ClipScore]]:
    """Return the uncalibrated validation and test scores of checkpoint ``best``."""
    # A checkpoint holds the averaged weights. For the test, and only then, the callback would
    # replace them with the others.
    averaging = [c for c in trainer.callbacks if isinstance(c, WeightAveraging)]  # type: ignore[attr-defined]
    for callback in averaging:
        trainer.callbacks.remove(callback)  # type: ignore[attr-defined]
    trainer.validate(module, datamodule=datamodule, ckpt_path=best, verbose=False)
    validation = module.scores
    trainer.test(module, datamodule=datamodule, ckpt_path=best, verbose=False)
    return validation, module.scores


def measure(
    config: RunConfig, calibrated: CalibratedScores, fake_time: float, clips: Sequence[Clip]
) -> dict[str, Any]:
    """Return the metrics of the test ``clips``, and their shortcut audit.

    Args:
        config: configuration of the run.
        calibrated: scores of the clips.
        fake_time: share of fake time in training, for the baselines.
        clips: manifest rows of the test clips.
    """
    report, prior = config.report, Prior(FAKE_SHARE, fake_time)
    with progress_bar("measuring") as progress:
        results = compute_metrics(
            calibrated, prior, report.draws, config.seed, report.confidence, progress
        )
    unseen = {clip.clip_id for clip in subsets(calibrated.test).unseen}
    return results | {"audit": audit(clips, unseen)}


def save_calibration(calibrated: CalibratedScores, split: Split, best: Path) -> None:
    """Add thresholds, calibration, training attacks and sources to the checkpoint ``best``."""
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


def describe_run(
    config: RunConfig, datamodule: ClipDataModule, module: MultiTaskModule
) -> dict[str, Any]:
    """Return the code, versions, machine and data that a result depends on."""
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
    }


def write_results(
    config: RunConfig, folder: Path, results: dict[str, Any], logger: Logger | None
) -> None:
    """Write the report and ``metrics.json``, and log the results.

    ``metrics.json`` comes last, so that a folder with this file is finished.
    """
    announce_stage("report")
    pending = folder / f"{DONE}.part"
    write_whole(pending, json.dumps(results, indent=1, allow_nan=False) + "\n")
    run = read_run(folder, metrics=pending)
    write_report(run, folder / "report.html", config.report.examples)
    if isinstance(logger, WandbLogger):
        shown = choose_clips(run, config.logger.table_clips)
        pictures = write_timelines(run, folder / "timelines", [s.clip_id for s in shown])
        clips = [run.clips[score.clip_id] for score in shown]
        tracking.log_results(logger, results, clips, shown, pictures)
        if config.logger.artifacts:
            tracking.log_artifacts(logger, config, folder)
    elif logger is not None:
        logger.log_metrics(tracking.summary(results), step=config.epochs * config.steps)
        logger.finalize("success")
    pending.replace(folder / DONE)
    log.info("%s", summary(run))


def forging_alone(corpus: Corpus) -> AbstractContextManager[object]:
    """Return a lock that lets one run at a time forge ``corpus``; others wait and reuse files."""
    folder = corpus.folder
    if not corpus.jobs or (folder.exists() and not os.access(folder, os.W_OK)):
        return nullcontext()
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / ".lock")


def hash_audio_files(clips: Sequence[Clip], folder: Path, resumed: bool) -> dict[str, str]:
    """Return the hashes of the audio of ``clips``, and write their list into ``folder``.

    Raises:
        InputError: if a resumed run was started with other audio.
    """
    with progress_bar("hashing audio") as progress:
        hashes = audio_hashes(clips, progress)
    listed = hash_list(hashes, folder)
    path = folder / HASHES
    before = read_list(path.read_text(encoding="utf-8")) if resumed and path.is_file() else {}
    # paths are not compared, since the run may have been moved
    if before and Counter(before.values()) != Counter(hashes.values()):
        common = set(before.values()) & set(hashes.values())
        both = [*before.items(), *read_list(listed).items()]
        changed = sorted({location for location, digest in both if digest not in common})
        raise InputError(
            f"{folder}: was started with other audio ({', '.join(changed[:3]) or 'other copies'}); "
            "start again with resume=never"
        )
    write_whole(path, listed)
    return hashes


@contextmanager
def worker_crash_as_error() -> Iterator[None]:
    """Turn the crash of a data loading process into an `OutsideError`."""
    try:
        yield
    except RuntimeError as error:
        # torch has no specific error type for it
        if "DataLoader worker" not in str(error):
            raise
        raise OutsideError(
            f"a process that loads data ended ({str(error).splitlines()[0].strip().rstrip('.')}); "
            "if memory ran out, use fewer data.workers; resume=auto resumes the run"
        ) from error


@contextmanager
def timed(seconds: dict[str, float], cpu_seconds: dict[str, float], name: str) -> Iterator[None]:
    """Announce a stage; add its duration to ``seconds``, its processor time to ``cpu_seconds``."""
    if current_rank().rank == 0:
        announce_stage(name)
    start, cpu_start = time.perf_counter(), time.process_time()
    yield
    seconds[name] = time.perf_counter() - start
    cpu_seconds[name] = time.process_time() - cpu_start


def silence_warnings() -> None:
    """Silence warnings of Lightning that users cannot act on."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*LeafSpec.*",
        ".*calling `WeightAveraging`.*",
        # bfloat16 with float32 weights is no slower than the fused kernel
        ".*Cannot dispatch to fused implementation.*",
        # the recommended replacement does something else
        ".*`broadcast_buffers` is deprecated.*",
        # every process computes the logged figures from all clips
        ".*recommended to use `self.log.*sync_dist=True.*",
        # every clip is scored once, whatever the number of processes
        ".*it is recommended to use `Trainer\\(devices=1, num_nodes=1\\)`.*",
        ".*callbacks used to create the checkpoint need to be provided.*",
        # the sampler resumes within an epoch
        ".*resuming from a checkpoint that ended before the epoch ended.*",
    ):
        warnings.filterwarnings("ignore", message)
