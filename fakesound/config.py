"""The configuration: every key, its type, its default and what it may be.

Groups under ``conf/`` fill these in. A wrong key or type is rejected while the configuration is
composed, a wrong value by ``__post_init__`` below; nothing heavy is imported before that.
"""

from dataclasses import dataclass, field
from typing import Any

from fakesound.errors import InputError

ATTACK_WEIGHTS = {
    "edit/*": 0.1,
    "separation/*": 0.1,
    "codec/mp3": 0.2,
    "codec/opus": 0.5,
    "inpainting/nearest_patch": 0.2,
    "vocoder/quantised_phase": 0.4,
    "vocoder/sinusoidal": 0.2,
}


def _one_of(key: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{key}={value}: must be one of {', '.join(choices)}")


def _at_least(key: str, value: float, low: float) -> None:
    if not value >= low:
        raise InputError(f"{key}={value}: must be at least {low}")


def _share(key: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise InputError(f"{key}={value}: must be between 0 and 1")


@dataclass
class CropConfig:
    """Training crops."""

    seconds: float = 2.0
    """Length of a crop; also of the windows in which whole clips are scored."""
    whole: float = 0.15
    """Share of fake crops that are fake throughout."""
    shortest: float = 0.06
    """Seconds of the shortest region cut in on the fly."""
    most: int = 2
    """Regions in a crop at most."""
    weights: dict[str, float] = field(default_factory=lambda: dict(ATTACK_WEIGHTS))
    """How often attacks are drawn, by name or glob, the first that fits; 1 for those not named.
    Less for edits, which are genuine material in the wrong place, and for what leaves hardly a
    trace: seen as often as the rest they teach that genuine sounds fake."""

    def __post_init__(self) -> None:
        _at_least("data.crop.seconds", self.seconds, 0.2)
        _share("data.crop.whole", self.whole)
        _at_least("data.crop.shortest", self.shortest, 0.02)
        _at_least("data.crop.most", self.most, 1)
        for pattern, weight in self.weights.items():
            _at_least(f"data.crop.weights.{pattern}", weight, 0)


@dataclass
class AugmentConfig:
    """Share of training crops that each change is applied to, alike for genuine and fake."""

    gain: float = 0.8
    """Level by -12 to 6 dB."""
    invert: float = 0.5
    """Polarity."""
    noise: float = 0.1
    """White to brown noise at 15 to 45 dB."""
    tilt: float = 0.1
    """A gentle random equaliser."""

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            _share(f"data.augment.{key}", value)


@dataclass
class DataConfig:
    """Where clips come from."""

    root: str | None = None
    """Folder of genuine recordings to forge from; null: the embedded corpus."""
    manifest: str | None = None
    """Manifest of labelled clips to use as they are, instead of forging."""
    prepared: str = "prepared"
    """Folder for forged clips; later runs reuse them."""
    source: str = "file"
    """What is one source under root: each "file", or each "folder" (a speaker, a session)."""
    on_bad_audio: str = "error"
    """"error" stops at a file that cannot be used; "skip" leaves it out and says so."""
    sample_rate: int = 16_000
    """Samples a second; everything is brought to it."""
    clip_seconds: float = 10.0
    """Longer recordings are cut into clips of this length."""
    attacks: list[str] = field(default_factory=lambda: ["*"])
    """Names or globs of the attacks to forge."""
    train_attacks: int = 4
    """Fakes forged of each training clip, attacks in rotation."""
    evaluation_attacks: int = 2
    """Fakes of each validation and test clip, besides those of held-out attacks."""
    crop: CropConfig = field(default_factory=CropConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batch_size: int = 32
    """Crops a step; half of them fake, each next to its genuine twin."""
    workers: int = 0
    """Processes that load data; 0 loads in the main one."""
    forge_workers: int | None = None
    """Processes that forge; null: one for each core."""

    def __post_init__(self) -> None:
        _one_of("data.source", self.source, ("file", "folder"))
        _one_of("data.on_bad_audio", self.on_bad_audio, ("error", "skip"))
        _at_least("data.sample_rate", self.sample_rate, 8_000)
        _at_least("data.clip_seconds", self.clip_seconds, 1)
        _at_least("data.train_attacks", self.train_attacks, 1)
        _at_least("data.evaluation_attacks", self.evaluation_attacks, 1)
        _at_least("data.workers", self.workers, 0)
        if self.forge_workers is not None:
            _at_least("data.forge_workers", self.forge_workers, 1)
        if self.batch_size < 2 or self.batch_size % 2:
            raise InputError(
                f"data.batch_size={self.batch_size}: must be even, for pairs of a fake and its twin"
            )
        if self.root is not None and self.manifest is not None:
            raise InputError("data.root and data.manifest: give one of them, not both")


@dataclass
class SplitConfig:
    """What is held out."""

    name: str = "official"
    """"official": as the corpus has it; "leave_one_attack_out": attacks held out of training."""
    held_out: Any = None
    """Attacks kept for the test: a name or glob such as inpainting/*, or a list of them."""
    inner_held_out: Any = "auto"
    """Attacks kept for validation and test; "auto" takes one of a family that is not held out."""
    seen_per_genuine: int | None = 1
    """Seen fakes for each genuine clip in validation and test; null: all there are."""

    def __post_init__(self) -> None:
        _one_of("split.name", self.name, ("official", "leave_one_attack_out"))
        for key in ("held_out", "inner_held_out"):
            value = getattr(self, key)
            if not (value is None or isinstance(value, str) or _strings(value)):
                raise InputError(f"split.{key}={value}: must be a name, a glob or a list of them")
        if self.name == "official" and self.held_out:
            raise InputError(
                f"split.held_out={self.held_out}: the official split holds nothing out; use "
                "split=leave_one_attack_out"
            )
        if self.name == "leave_one_attack_out" and not self.held_out:
            raise InputError("split.held_out: name the attack to hold out, or use split=official")
        if self.seen_per_genuine is not None:
            _at_least("split.seen_per_genuine", self.seen_per_genuine, 1)

    def patterns(self, key: str) -> list[str]:
        """Return ``held_out`` or ``inner_held_out`` as a list."""
        value = getattr(self, key)
        return [] if value is None else [value] if isinstance(value, str) else list(value)


def _strings(value: Any) -> bool:  # noqa: ANN401  # whatever YAML holds
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


@dataclass
class FeaturesConfig:
    """The spectrogram that the model sees."""

    kind: str = "logstft"
    """"logstft": linear frequency; "logmel"; "lfcc": cepstra of linear filters."""
    window: int = 512
    """Samples in an analysis window."""
    hop_ms: int = 10
    """Milliseconds between windows; a frame of 20 ms is a whole number of them."""
    bins: int = 256
    """Frequency bins, mel bands or cepstra."""

    def __post_init__(self) -> None:
        _one_of("features.kind", self.kind, ("logstft", "logmel", "lfcc"))
        _one_of("features.hop_ms", str(self.hop_ms), ("1", "2", "4", "5", "10", "20"))
        _at_least("features.bins", self.bins, 8)
        _at_least("features.window", self.window, 64)
        if self.kind == "logstft" and self.bins > self.window // 2:
            raise InputError(
                f"features.bins={self.bins}: a window of {self.window} samples gives at most "
                f"{self.window // 2}"
            )


@dataclass
class StemConfig:
    """What makes tokens of the spectrogram."""

    kind: str = "conv"
    """"conv": 2-D convolutions, one token per 20 ms; "patch": linear patches, as published."""
    channels: list[int] = field(default_factory=lambda: [16, 24, 32, 48, 64])
    """Channels of the convolutions; each but the first halves frequency."""
    patch: list[int] = field(default_factory=lambda: [16, 16])
    """Height (bins) and width (windows) of a patch."""
    stride: list[int] | None = None
    """Step from patch to patch; null: the patch itself, smaller steps overlap."""

    def __post_init__(self) -> None:
        _one_of("backbone.stem.kind", self.kind, ("conv", "patch"))
        if not self.channels or min(self.channels) < 1:
            raise InputError(f"backbone.stem.channels={self.channels}: name one width or more")
        for key in ("patch", "stride"):
            value = getattr(self, key)
            if value is not None and (len(value) != 2 or min(value) < 1):
                raise InputError(f"backbone.stem.{key}={value}: must be [bins, windows]")


@dataclass
class BackboneConfig:
    """Vision Mamba."""

    name: str = "vim_micro"
    """Shown in tables."""
    dim: int = 96
    """Width of a token."""
    depth: int = 4
    """Blocks."""
    state: int = 16
    """States of a channel in the selective scan."""
    expand: int = 2
    """Width inside a block, in units of dim."""
    variant: str = "v2"
    """"v2": each direction has its own parameters (Vim); "v1": they share all but A (AuM);
    "none": forward only."""
    order: str = "time"
    """Token order: "time"-major (all bands of one instant first) or "frequency"-major."""
    class_token: bool = True
    """A class token in the middle of the sequence; without it the tokens' mean is the summary."""
    position: bool = False
    """Learned position embedding."""
    drop_path: float = 0.0
    """Stochastic depth, rising to this rate at the last block."""
    stem: StemConfig = field(default_factory=StemConfig)

    def __post_init__(self) -> None:
        _at_least("backbone.dim", self.dim, 8)
        _at_least("backbone.depth", self.depth, 1)
        _at_least("backbone.state", self.state, 1)
        _at_least("backbone.expand", self.expand, 1)
        _one_of("backbone.variant", self.variant, ("v1", "v2", "none"))
        _one_of("backbone.order", self.order, ("time", "frequency"))
        if not 0 <= self.drop_path < 1:
            raise InputError(f"backbone.drop_path={self.drop_path}: must be 0 or more, below 1")


@dataclass
class HeadsConfig:
    """What is predicted."""

    clip: bool = True
    """Whether the clip is fake."""
    frame: bool = True
    """Which frames are fake."""
    dropout: float = 0.0
    """On what the heads see."""

    def __post_init__(self) -> None:
        if not (self.clip or self.frame):
            raise InputError("heads.clip and heads.frame: one of them must be true")
        _share("heads.dropout", self.dropout)


@dataclass
class LossConfig:
    """How tasks are weighed."""

    weighting: str = "fixed"
    """"fixed", "uncertainty" (Kendall et al. 2018) or "dwa" (dynamic weight averaging)."""
    clip: float = 0.3
    """Weight of the clip loss; 0 logs it only."""
    frame: float = 0.7
    """Weight of the frame loss; 0 logs it only."""
    frame_loss: str = "bce"
    """"bce" with a weight for fake frames from the data, "focal" or "dice"."""
    twin: float = 0.7
    """Weight, in each task, of the loss that ranks a fake above its genuine twin."""
    focal_gamma: float = 2.0
    """Focusing of the focal loss."""
    temperature: float = 2.0
    """Softness of dynamic weight averaging."""

    def __post_init__(self) -> None:
        _one_of("loss.weighting", self.weighting, ("fixed", "uncertainty", "dwa"))
        _one_of("loss.frame_loss", self.frame_loss, ("bce", "focal", "dice"))
        for key in ("clip", "frame", "twin", "focal_gamma"):
            _at_least(f"loss.{key}", getattr(self, key), 0)
        if self.temperature <= 0:
            raise InputError(f"loss.temperature={self.temperature}: must be positive")


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
        _at_least("optim.weight_decay", self.weight_decay, 0)
        for key in ("warmup", "final"):
            _share(f"optim.{key}", getattr(self, key))
        if self.ema is not None:
            _share("optim.ema", self.ema)


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
        _one_of("logger.mode", self.mode, ("offline", "online", "disabled"))
        _at_least("logger.table_clips", self.table_clips, 0)


@dataclass
class ReportConfig:
    """The report of a run."""

    draws: int = 1000
    """Bootstrap draws for the intervals."""
    examples: int = 8
    """Clips to look at and listen to in report.html."""

    def __post_init__(self) -> None:
        _at_least("report.draws", self.draws, 0)
        _at_least("report.examples", self.examples, 0)


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
    """Selective scan: auto, cpu, chunked or reference."""
    epochs: int = 3
    """Of `steps` training steps each; validated and saved after each."""
    steps: int = 120
    """Training steps in an epoch."""
    data: DataConfig = field(default_factory=DataConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    heads: HeadsConfig = field(default_factory=HeadsConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: dict[str, Any] = field(default_factory=dict)
    """Arguments of lightning.Trainer."""
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    report: ReportConfig = field(default_factory=ReportConfig)

    def __post_init__(self) -> None:
        _one_of("resume", self.resume, ("auto", "never"))
        _one_of("kernel", self.kernel, ("auto", "cpu", "chunked", "reference"))
        _at_least("epochs", self.epochs, 1)
        _at_least("steps", self.steps, 1)
        _at_least("seed", self.seed, 0)
        if self.loss.clip * self.heads.clip + self.loss.frame * self.heads.frame <= 0:
            raise InputError("loss.clip and loss.frame: no head that is on has a weight above 0")
