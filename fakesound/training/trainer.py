"""Build the data module, module and trainer of a run from its configuration."""

from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy

from fakesound.config import TASKS, RunConfig
from fakesound.config.training import check_batch, total_processes
from fakesound.data.crops import CropDataset
from fakesound.data.dataset import collate
from fakesound.errors import InputError
from fakesound.forging import Corpus
from fakesound.models.build import build_detector, build_initial
from fakesound.models.losses import LossWeighting, edge_target
from fakesound.models.tasks import Balance
from fakesound.models.weights import InitialWeights
from fakesound.training.callbacks import EpochLog, ProgressBars, StepLog
from fakesound.training.checkpoints import LAST, AtomicCheckpointIO, BestCheckpoint, LastCheckpoint
from fakesound.training.datamodule import ClipDataModule
from fakesound.training.distributed import current_rank
from fakesound.training.module import MultiTaskModule

# number of crops for feature statistics and class balance
SAMPLE = 256


def build_datamodule(config: RunConfig, corpus: Corpus) -> ClipDataModule:
    """Return the data module of a run."""
    crop, later = config.data.crop, None
    if crop.later_seconds is not None:
        later = round(crop.later_from * config.epochs)
    return ClipDataModule(corpus, config.data, config.split, config.steps, config.seed, later)


def build_module(
    config: RunConfig, crops: CropDataset, initial: InitialWeights | None = None
) -> MultiTaskModule:
    """Return the module; feature statistics and class balance come from training ``crops``.

    Args:
        config: configuration of the run.
        crops: training crops.
        initial: result of `build_initial`; None to build it.

    Raises:
        InputError: if parts of the configuration contradict each other.
    """
    initial = initial or build_initial(config)
    heads = config.heads
    families = crops.families if heads.attribution else ()
    if heads.attribution and len(families) < 2:
        raise InputError(
            "heads.attribution=true: needs several families of attacks, and training has only "
            f"{', '.join(families)}; add some, or set heads.attribution=false"
        )
    detector = build_detector(config, families)
    # numbers beyond all epochs, so that these crops depend only on the seed and are not trained on
    sample = collate([crops[2**40 + number] for number in range(SAMPLE)])
    detector.features.fit([sample.waveform])  # type: ignore[operator]
    if initial is not None:
        # after the statistics, which the weights of a run replace with their own
        initial.load_into(detector)
    fake = float(sample.frame_target.sum() / sample.frame_mask.sum())
    edges = edge_target(sample.frame_target, sample.frame_mask)
    edge = float(edges.sum() / sample.frame_mask.sum())
    loss = config.loss
    weight = loss.positive_weight or _positive_weight(fake)
    balance = Balance(fake, weight, _positive_weight(edge))
    weighting = LossWeighting(loss.weighting, config.task_weights(), loss.temperature)
    return MultiTaskModule(detector, weighting, config, balance)


def _positive_weight(share: float) -> float:
    # the square root of the ratio, since the full ratio gives many false alarms
    return ((1 - share) / max(share, 1e-3)) ** 0.5


def build_trainer(config: RunConfig, folder: Path, logger: Logger | None) -> lightning.Trainer:
    """Return the trainer, which writes checkpoints and an epoch log to ``folder``.

    Raises:
        InputError: if Lightning refuses an argument under ``trainer``, or the processes cannot
            share a batch.
    """
    best = BestCheckpoint(
        folder / "checkpoints",
        filename="best",
        monitor="validation/selection",
        mode="max",
        enable_version_counter=False,
    )
    last = LastCheckpoint(folder / "checkpoints" / LAST, config.checkpoint_steps)
    callbacks: list[Callback] = [best, last, EpochLog(folder / "epochs.jsonl"), ProgressBars()]
    if logger is not None:
        callbacks.append(StepLog(config.logger.every_steps))
    if config.optim.ema is not None:
        callbacks.append(EMAWeightAveraging(decay=config.optim.ema))
    arguments: dict[str, Any] = {
        "enable_model_summary": False,
        "enable_progress_bar": False,
        "deterministic": "warn",
    }
    arguments |= config.trainer
    if arguments.get("precision") == "auto":
        arguments["precision"] = auto_precision()
    # filling new memory only helps debugging, and takes a tenth of a step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if current_rank().world_size > 1 or (total_processes(config.trainer) or 1) > 1:
        arguments["strategy"] = DDPStrategy(
            # buffers are equal anyway, since normalisation is over all processes; in scoring, DDP
            # would exchange them before each batch, of which processes have different numbers
            broadcast_buffers=False,
            find_unused_parameters=_without_loss(config),
        )
    try:
        trainer = lightning.Trainer(
            max_epochs=config.epochs,
            logger=logger or False,
            callbacks=callbacks,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
            default_root_dir=folder,
            # the environment gives the ranks, whatever started the processes
            plugins=[LightningEnvironment(), AtomicCheckpointIO()],
            **arguments,
        )
    except TypeError as error:
        raise InputError(f"trainer: {error}; see lightning.Trainer for its arguments") from None
    except (ValueError, lightning.fabric.utilities.exceptions.MisconfigurationException) as error:
        raise InputError(f"trainer: {str(error).splitlines()[0]}") from None
    check_batch(config.data.batch_size, trainer.world_size)
    return trainer


def _without_loss(config: RunConfig) -> bool:
    """Return whether a head that is on has no loss."""
    return any(getattr(config.heads, task) and not config.loss.weight(task) for task in TASKS)


def auto_precision() -> str:
    """Return "bf16-mixed" if the processor or GPU supports bfloat16 natively, else "32-true".

    Matrix products and convolutions then take half the time or less; weights, sums, the scan and
    all scoring stay in single precision.
    """
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = torch.cpu.get_capabilities()
        native = any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "sve_bf16"))
    return "bf16-mixed" if native else "32-true"
