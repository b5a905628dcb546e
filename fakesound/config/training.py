"""Configuration of optimisation, processes, logging and reports, and of a whole run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakesound.config.checks import check_choices, check_least, check_shares, unknown_key
from fakesound.config.data import DataConfig, SplitConfig
from fakesound.config.model import BackboneConfig, FeaturesConfig
from fakesound.config.tasks import TASKS, HeadsConfig, LossConfig
from fakesound.errors import InputError

KERNELS = ("auto", "cpu", "triton", "mamba_ssm", "chunked", "reference")
CALIBRATIONS = ("logistic", "isotonic", "none")
MOST_SEEDS = 2**63  # torch accepts seeds below
LOGGER_MODES = ("offline", "online", "csv", "tensorboard", "disabled")
# arguments of lightning.Trainer that a run does not set itself
_TRAINER = """
accelerator accumulate_grad_batches barebones benchmark check_val_every_n_epoch detect_anomaly
deterministic devices enable_autolog_hparams enable_checkpointing enable_model_summary
enable_progress_bar fast_dev_run gradient_clip_algorithm gradient_clip_val inference_mode
limit_predict_batches limit_test_batches limit_train_batches limit_val_batches max_steps max_time
min_epochs min_steps model_registry num_nodes overfit_batches precision profiler
reload_dataloaders_every_n_epochs sync_batchnorm val_check_interval
"""
TRAINER_ARGUMENTS = tuple(_TRAINER.split())


@dataclass
class OptimConfig:
    """AdamW with linear warm-up, cosine decay and an optional cooldown."""

    lr: float = 3e-3
    """Peak learning rate."""
    weight_decay: float = 0.01
    """Weight decay of matrices; vectors, norms, A and D have none."""
    warmup: float = 0.08
    """Share of the steps in which the learning rate rises to its peak."""
    final_lr_factor: float = 0.02
    """Last learning rate, relative to the peak."""
    cooldown: float = 0.0
    """Share of the steps at the end with the last learning rate."""
    ema: float | None = 0.97
    """Decay of an exponential moving average of the weights, which is saved and tested; null: no
    average."""

    def __post_init__(self) -> None:
        if not 0 < self.lr < 1:
            raise InputError(f"optim.lr={self.lr}: must be positive, and below 1")
        check_least("optim", self, weight_decay=0)
        check_shares("optim", self, "warmup", "final_lr_factor", "cooldown", "ema")
        if self.warmup + self.cooldown > 1:
            raise InputError(
                f"optim.cooldown={self.cooldown}: with optim.warmup={self.warmup} exceeds 1; lower "
                "one of them"
            )


@dataclass
class InitConfig:
    """Weights to start from."""

    path: str | None = None
    """Folder of a run, or file of Vim, AuM or the original project; null: random weights."""
    grid: list[int] | None = None
    """Rows and columns of the position embeddings of the file, if it does not contain them."""

    def __post_init__(self) -> None:
        if self.path == "":
            raise InputError("init.path=: must be the path of a file")
        if self.grid is None:
            return
        if len(self.grid) != 2 or min(self.grid) < 1:
            raise InputError(f"init.grid={self.grid}: must be [rows,columns]")
        if self.path is None:
            raise InputError(f"init.grid={self.grid}: describes a file of weights; give init.path")


@dataclass
class LoggerConfig:
    """Weights & Biases, or another log of the training."""

    mode: str = "offline"
    """W&B "offline" (upload later with `fakesound sync`) or "online"; "csv"; "tensorboard"; or
    "disabled"."""
    project: str = "fakesound"
    """W&B project."""
    entity: str | None = None
    """User or team at W&B; null: the user who is logged in."""
    group: str | None = None
    """W&B group; a sweep sets it to its name."""
    every_steps: int = 10
    """Steps between logs of training losses, gradient norm and speed."""
    artifacts: bool = True
    """Whether checkpoint, report and manifest are logged as artifacts."""
    table_clips: int = 24
    """Clips with audio and timeline in the logged table: half the worst, half at random."""

    def __post_init__(self) -> None:
        check_choices("logger", self, mode=LOGGER_MODES)
        check_least("logger", self, every_steps=1, table_clips=0)


@dataclass
class ReportConfig:
    """Report of a run."""

    draws: int = 1000
    """Bootstrap draws for the confidence intervals."""
    examples: int = 8
    """Clips with a player in report.html."""
    confidence: float | None = None
    """Probability below which the report counts a clip as "uncertain", such as 0.8; null: never."""

    def __post_init__(self) -> None:
        check_least("report", self, draws=0, examples=0)
        if self.confidence is not None and not 0.5 <= self.confidence < 1:
            raise InputError(
                f"report.confidence={self.confidence}: must be from 0.5 (always decide) to below 1"
            )


@dataclass
class DecisionConfig:
    """Conditions of the thresholds, which are chosen on validation."""

    false_alarms: float | None = None
    """Largest share of genuine clips with the verdict fake; null: no limit."""
    fake_time: float | None = None
    """Expected share of fake time in partial fakes and genuine clips, for the frame threshold;
    null: the share if half of the clips are fake."""

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if value is not None and not 0 < value < 1:
                raise InputError(f"decision.{key}={value}: must be between 0 and 1, or null")


def trainer_defaults() -> dict[str, Any]:
    """Return the default arguments of lightning.Trainer."""
    return {
        "accelerator": "auto",
        # processes on each host, and hosts; together they share data.batch_size
        "devices": 1,
        "num_nodes": 1,
        # bf16-mixed if the hardware is faster with it, otherwise 32-true
        "precision": "auto",
        "gradient_clip_val": 1.0,
    }


@dataclass
class RunConfig:
    """A run."""

    name: str = "run"
    """Name of the folder under outputs/ and of the W&B run."""
    seed: int = 0
    """Seed of weights, crops and augmentation."""
    resume: str = "never"
    """"auto" resumes the unfinished run of the same configuration; "never" starts a new one."""
    tags: list[str] = field(default_factory=list)
    """Tags at W&B."""
    kernel: str = "auto"
    """Selective scan: auto, cpu, triton, mamba_ssm, chunked or reference."""
    calibration: str = "logistic"
    """Calibration of clip scores, fitted on validation and saved in the checkpoint: logistic,
    isotonic or none."""
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    epochs: int = 3
    """Epochs of `steps` training steps; the run is validated and saved after each."""
    steps: int = 400
    """Training steps in an epoch."""
    checkpoint_steps: int = 200
    """Steps between checkpoints within an epoch, to resume from."""
    data: DataConfig = field(default_factory=DataConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    heads: HeadsConfig = field(default_factory=HeadsConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    init: InitConfig = field(default_factory=InitConfig)
    trainer: dict[str, Any] = field(default_factory=trainer_defaults)
    """Arguments of lightning.Trainer; `devices` times `num_nodes` processes train together."""
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    report: ReportConfig = field(default_factory=ReportConfig)

    def __post_init__(self) -> None:
        check_choices("", self, resume=("auto", "never"), kernel=KERNELS, calibration=CALIBRATIONS)
        check_least("", self, epochs=1, steps=1, checkpoint_steps=1, seed=0)
        if self.seed >= MOST_SEEDS:
            raise InputError(f"seed={self.seed}: must be below {MOST_SEEDS}")
        if not self.name or ".." in Path(self.name).parts or Path(self.name).is_absolute():
            raise InputError(f"name={self.name}: must name a folder under outputs/")
        check_trainer(self.trainer, self.data.batch_size)
        if not any(self.task_weights().values()):
            raise InputError(
                f"loss.frame_share={self.loss.frame_share}: no head that is on has a weight above "
                "0; set heads.clip=true, heads.frame=true or another share"
            )

    def task_weights(self) -> dict[str, float]:
        """Return the weight of the loss of each task; 0 if its head is off."""
        return {t: self.loss.weight(t) if getattr(self.heads, t) else 0.0 for t in TASKS}


def processes_on_host(trainer: Mapping[str, Any]) -> int | None:
    """Return the number of processes on each host; None if it depends on the host.

    Raises:
        InputError: if ``trainer.devices`` is not a number or list of devices.
    """
    devices = trainer.get("devices", 1)
    wrong = InputError(
        f"trainer.devices={devices}: must be a number of processes, a list of GPUs as in [0,1], or "
        "auto"
    )
    if isinstance(devices, bool):
        raise wrong
    if isinstance(devices, str) and devices != "auto":
        parts = devices.split(",")
        if not all(part.strip().lstrip("-").isdecimal() for part in parts):
            raise wrong
        devices = int(devices) if len(parts) == 1 else parts
    if devices in ("auto", -1):
        return None
    count = devices if isinstance(devices, int) else len(devices)
    if count < 1:
        raise wrong
    return count


def total_processes(trainer: Mapping[str, Any]) -> int | None:
    """Return the number of processes on all hosts; None if it depends on the hosts."""
    count = processes_on_host(trainer)
    return None if count is None else count * int(trainer.get("num_nodes", 1))


def check_trainer(trainer: Mapping[str, Any], batch_size: int) -> None:
    """Check the arguments of the trainer, and that processes can share batches of ``batch_size``.

    Raises:
        InputError: for an unknown or invalid argument.
    """
    for key in trainer:
        if key not in TRAINER_ARGUMENTS:
            raise unknown_key(f"trainer.{key}", TRAINER_ARGUMENTS)
    nodes = trainer.get("num_nodes", 1)
    if isinstance(nodes, bool) or not isinstance(nodes, int) or nodes < 1:
        raise InputError(f"trainer.num_nodes={nodes}: must be a number of hosts, at least 1")
    count = total_processes(trainer)
    if count is not None:
        check_batch(batch_size, count)


def check_batch(batch_size: int, count: int) -> None:
    """Check that ``count`` processes can share a batch of pairs.

    Raises:
        InputError: if they cannot.
    """
    if count > 1 and batch_size % (2 * count):
        raise InputError(
            f"data.batch_size={batch_size}: {count} processes cannot share its pairs of crops "
            f"evenly; use a multiple of {2 * count}"
        )
