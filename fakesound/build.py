"""The composition root: from the typed configuration to the objects of a run."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy

from fakesound import processes
from fakesound.backbones import build_backbone
from fakesound.callbacks import Bars, EpochLog
from fakesound.config import TASKS, FeaturesConfig, RunConfig
from fakesound.config.trainer import check_batch, processes_in_all
from fakesound.data.crops import CropDataset
from fakesound.data.dataset import collate
from fakesound.datamodule import ClipDataModule
from fakesound.errors import InputError
from fakesound.features import Spectrogram
from fakesound.forging import Corpus
from fakesound.losses import LossWeighting, edge_target
from fakesound.models.detector import Detector
from fakesound.models.scan import resolve_kernel
from fakesound.models.weights import InitialWeights, fit_weights, read_weights
from fakesound.module import Learning, MultiTaskModule
from fakesound.resuming import LAST, BestCheckpoint, LastCheckpoint, WholeCheckpoints
from fakesound.timeline import FrameGrid

GRID = FrameGrid()
# crops that statistics of the features and the share of fake frames are taken from
SAMPLE = 256


def build_datamodule(config: RunConfig, corpus: Corpus) -> ClipDataModule:
    """Return the data module of a run."""
    crop, later = config.data.crop, None
    if crop.later_seconds is not None:
        later = round(crop.later_from * config.epochs)
    return ClipDataModule(corpus, config.data, config.split, GRID, config.steps, config.seed, later)


def build_features(config: FeaturesConfig, sample_rate: int) -> Spectrogram:
    """Return the features, statistics not fitted yet.

    Raises:
        InputError: if a frame is not a whole number of windows.
    """
    hop, rest = divmod(sample_rate * config.hop_ms, 1000)
    if rest or GRID.samples(sample_rate) % hop:
        raise InputError(
            f"features.hop_ms={config.hop_ms}: at {sample_rate} Hz a frame of {GRID.step} s is not "
            "a whole number of hops; use 10"
        )
    return Spectrogram(config.kind, sample_rate, config.window, hop, config.bins)


def build_detector(config: RunConfig, families: Sequence[str] = ()) -> Detector:
    """Return the detector, seeded by the configuration.

    Args:
        config: of the run.
        families: of attacks in its training, for the attribution head; none: it has no such head.

    Raises:
        InputError: if parts of the configuration do not fit together.
    """
    lightning.seed_everything(config.seed, workers=True, verbose=False)
    features = build_features(config.features, config.data.sample_rate)
    backbone = build_backbone(config.backbone, features, config.data.crop.seconds, config.kernel)
    heads = config.heads
    return Detector(
        features,
        backbone,
        features.windows(GRID),
        heads.clip,
        heads.frame,
        heads.dropout,
        boundary=heads.boundary,
        families=families if heads.attribution else (),
        pooling=heads.pooling,
        neck_depth=heads.neck_depth if heads.neck == "mamba" else 0,
        kernel=config.kernel,
        mask=config.features.mask,
    )


def build_initial(config: RunConfig) -> InitialWeights | None:
    """Return the weights that ``config.init`` names, fitted to its detector; None if it does not.

    Raises:
        InputError: if the file cannot be used, or does not fit the backbone.
    """
    source, grid = config.init["from"], config.init["grid"]
    if source is None:
        return None
    # read first: that says what is wrong with a file sooner than a large detector is made
    file = read_weights(Path(source))
    return fit_weights(file, build_detector(config), grid and (grid[0], grid[1]))


def build_module(
    config: RunConfig, crops: CropDataset, initial: InitialWeights | None = None
) -> MultiTaskModule:
    """Return the module; feature statistics and class balance come from training ``crops``.

    Args:
        config: of the run.
        crops: of its training clips.
        initial: what `build_initial` made of ``config``, where it is known already.

    Raises:
        InputError: if parts of the configuration do not fit together.
    """
    initial = initial or build_initial(config)
    heads = config.heads
    families = crops.families if heads.attribution else ()
    if heads.attribution and len(families) < 2:
        raise InputError(
            "heads.attribution=true: tells families of attacks apart, and training has only "
            f"{', '.join(families)}; give it more, or set heads.attribution=false"
        )
    detector = build_detector(config, families)
    # numbers that no epoch reaches: the same crops for the same seed, none of them trained on
    sample = collate([crops[2**40 + number] for number in range(SAMPLE)])
    detector.features.fit([sample.waveform])  # type: ignore[operator]
    if initial is not None:
        # after the statistics: those that weights of a run were trained with belong to them
        initial.load_into(detector)
    fake = float(sample.frame_target.sum() / sample.frame_mask.sum())
    edges = edge_target(sample.frame_target, sample.frame_mask)
    edge = float(edges.sum() / sample.frame_mask.sum())
    loss, optim = config.loss, config.optim
    tasks = {task: getattr(loss, task) * getattr(heads, task) for task in TASKS}
    learning = Learning(
        frame_loss=loss.frame_loss,
        focal_gamma=loss.focal_gamma,
        frame_prior=fake,
        positive_weight=_positive_weight(fake),
        edge_weight=_positive_weight(edge),
        twin=loss.twin,
        lr=optim.lr,
        weight_decay=optim.weight_decay,
        warmup=optim.warmup,
        final=optim.final,
        steps=config.epochs * config.steps,
        seed=config.seed,
    )
    weighting = LossWeighting(loss.weighting, tasks, loss.temperature)
    return MultiTaskModule(detector, weighting, learning, asdict(config))


def _positive_weight(share: float) -> float:
    # the square root of the balance: full balance makes every doubt an alarm
    return ((1 - share) / max(share, 1e-3)) ** 0.5


def build_trainer(config: RunConfig, folder: Path, logger: Logger | None) -> lightning.Trainer:
    """Return the trainer, which keeps checkpoints and an epoch log in ``folder``.

    Raises:
        InputError: if lightning does not take an argument under ``trainer``, or the processes
            cannot share a batch.
    """
    best = BestCheckpoint(
        folder / "checkpoints",
        filename="best",
        monitor="validation/selection",
        mode="max",
        enable_version_counter=False,
    )
    last = LastCheckpoint(folder / "checkpoints" / LAST, config.checkpoint_steps)
    callbacks: list[Callback] = [best, last, EpochLog(folder / "epochs.jsonl"), Bars()]
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
    # its filling of new memory is for finding bugs, and costs a tenth of a step
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    if processes.place().size > 1 or (processes_in_all(config.trainer) or 1) > 1:
        arguments["strategy"] = DDPStrategy(
            # normalisation is over all processes, so that they hold the same; and in scoring they
            # have different numbers of batches, before which buffers would be exchanged
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
            # whoever started the processes, they are told by the environment what they are
            plugins=[
                *arguments.pop("plugins", []),
                LightningEnvironment(),
                WholeCheckpoints(),
            ],
            **arguments,
        )
    except TypeError as error:
        raise InputError(f"trainer: {error}; see lightning.Trainer for its arguments") from None
    except (ValueError, lightning.fabric.utilities.exceptions.MisconfigurationException) as error:
        raise InputError(f"trainer: {str(error).splitlines()[0]}") from None
    check_batch(config.data.batch_size, trainer.world_size)
    return trainer


def _without_loss(config: RunConfig) -> bool:
    """Return whether a head that is on learns nothing."""
    return any(getattr(config.heads, task) and not getattr(config.loss, task) for task in TASKS)


def used_kernel(config: RunConfig, module: torch.nn.Module) -> str:
    """Return which selective scan ``config.kernel`` stands for on the device of ``module``.

    "none" where nothing scans.
    """
    if not config.backbone.has_states and config.heads.neck == "none":
        return "none"
    device = next(module.parameters()).device
    return resolve_kernel(config.kernel, device)


def auto_precision() -> str:
    """Return "bf16-mixed" where the processor or GPU multiplies bfloat16 itself, else "32-true".

    Matrix products and convolutions then take half the time or less; weights, sums, the scan and
    all scoring stay in single precision.
    """
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        able = torch.cpu.get_capabilities()
        native = any(able.get(name) for name in ("avx512_bf16", "amx_bf16", "sve_bf16"))
    return "bf16-mixed" if native else "32-true"
