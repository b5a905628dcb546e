"""Learning, logging, and everything a run is."""

from dataclasses import dataclass, field
from typing import Any

from fakesound.config.checks import at_least, one_of, share
from fakesound.config.data import DataConfig, SplitConfig
from fakesound.config.heads import HeadsConfig
from fakesound.config.loss import LossConfig
from fakesound.config.model import BackboneConfig, FeaturesConfig
from fakesound.config.trainer import check_trainer
from fakesound.errors import InputError

INIT = {
    "from": "File of weights to start from: Vim's, AuM's, the original project's or a run's.",
    "grid": "Rows and columns of its position embeddings, where it does not tell them.",
}
KERNELS = ("auto", "cpu", "triton", "mamba_ssm", "chunked", "reference")


@dataclass
class OptimConfig:
    """AdamW with linear warm-up and cosine decay, step by step."""

    lr: float = 2e-3
    """Peak learning rate."""
    weight_decay: float = 0.01
    """Decay of matrices; vectors, norms, A and D have none."""
    warmup: float = 0.1
    """Share of the steps to reach the peak."""
    final: float = 0.02
    """Last learning rate as a share of the peak."""
    ema: float | None = None
    """Decay of an exponential moving average of the weights, which is then what is tested."""

    def __post_init__(self) -> None:
        if not 0 < self.lr < 1:
            raise InputError(f"optim.lr={self.lr}: must be positive, and below 1")
        at_least("optim.weight_decay", self.weight_decay, 0)
        for key in ("warmup", "final"):
            share(f"optim.{key}", getattr(self, key))
        if self.ema is not None:
            share("optim.ema", self.ema)


@dataclass
class LoggerConfig:
    """Weights & Biases."""

    mode: str = "offline"
    """"offline" (sync later with `wandb sync`), "online" or "disabled"."""
    project: str = "fakesound"
    """Where runs go at W&B."""
    entity: str | None = None
    """User or team at W&B; null: the one logged in."""
    group: str | None = None
    """Set by sweeps."""
    table_clips: int = 24
    """Clips with audio and timeline in the logged table: half the worst, half at random."""

    def __post_init__(self) -> None:
        one_of("logger.mode", self.mode, ("offline", "online", "disabled"))
        at_least("logger.table_clips", self.table_clips, 0)


@dataclass
class ReportConfig:
    """The report of a run."""

    draws: int = 1000
    """Bootstrap draws for the intervals."""
    examples: int = 8
    """Clips to look at and listen to in report.html."""
    confidence: float | None = None
    """Below it, say 0.8, the report counts a clip as "cannot tell"; null: always answer."""

    def __post_init__(self) -> None:
        at_least("report.draws", self.draws, 0)
        at_least("report.examples", self.examples, 0)
        if self.confidence is not None and not 0.5 <= self.confidence < 1:
            raise InputError(
                f"report.confidence={self.confidence}: must be from 0.5, always answer, to below 1"
            )


@dataclass
class DecisionConfig:
    """Conditions for which thresholds are chosen on validation."""

    false_alarms: float | None = None
    """Largest share of genuine clips called fake; null: no limit."""
    fake_time: float | None = None
    """Share of time that is fake in partial fakes and genuine clips, for the frame threshold; null:
    half the clips are fake."""

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            if value is not None and not 0 < value < 1:
                raise InputError(f"decision.{key}={value}: must be between 0 and 1, or null")


@dataclass
class RunConfig:
    """Everything a run is."""

    name: str = "run"
    """Names the folder under outputs/ and the W&B run."""
    seed: int = 0
    """Of weights, crops and augmentation."""
    resume: str = "never"
    """"auto" continues the newest unfinished run of the same configuration; "never" starts anew."""
    tags: list[str] = field(default_factory=list)
    """For W&B."""
    kernel: str = "auto"
    """Selective scan: auto, cpu, triton, mamba_ssm, chunked or reference."""
    calibration: str = "logistic"
    """Of clip scores, fitted on validation and kept in the checkpoint: logistic, isotonic, none."""
    decision: DecisionConfig = field(default_factory=DecisionConfig)
    epochs: int = 3
    """Of `steps` training steps each; validated and saved after each."""
    steps: int = 400
    """Training steps in an epoch."""
    checkpoint_steps: int = 200
    """Steps after which a run is saved within an epoch, to be resumed there."""
    data: DataConfig = field(default_factory=DataConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    heads: HeadsConfig = field(default_factory=HeadsConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    # not a section of its own, since "from" cannot name a field
    init: dict[str, Any] = field(
        default_factory=lambda: dict.fromkeys(INIT), metadata={"keys": INIT}
    )
    """Weights to start from: `from`, a file, and `grid`, of its position embeddings."""
    trainer: dict[str, Any] = field(default_factory=dict)
    """Arguments of lightning.Trainer; `devices` times `num_nodes` processes train together."""
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    report: ReportConfig = field(default_factory=ReportConfig)

    def __post_init__(self) -> None:
        one_of("resume", self.resume, ("auto", "never"))
        one_of("kernel", self.kernel, KERNELS)
        one_of("calibration", self.calibration, ("logistic", "isotonic", "none"))
        at_least("epochs", self.epochs, 1)
        at_least("steps", self.steps, 1)
        at_least("checkpoint_steps", self.checkpoint_steps, 1)
        at_least("seed", self.seed, 0)
        self._check_init()
        check_trainer(self.trainer, self.data.batch_size)
        if self.loss.clip * self.heads.clip + self.loss.frame * self.heads.frame <= 0:
            raise InputError("loss.clip and loss.frame: no head that is on has a weight above 0")

    def _check_init(self) -> None:
        for key in self.init:
            if key not in INIT:
                raise InputError(f"init.{key}: no such key; there are {', '.join(INIT)}")
        self.init = dict.fromkeys(INIT) | self.init
        source, grid = self.init["from"], self.init["grid"]
        if not (source is None or (isinstance(source, str) and source)):
            raise InputError(f"init.from={source}: must be the path of a file")
        if grid is None:
            return
        sizes = grid if isinstance(grid, list | tuple) else []
        if len(sizes) != 2 or not all(type(size) is int and size > 0 for size in sizes):
            raise InputError(f"init.grid={grid}: must be [rows,columns]")
        if source is None:
            raise InputError(f"init.grid={grid}: is for a file of weights; give init.from as well")
