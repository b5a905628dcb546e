"""Features and backbone."""

from dataclasses import dataclass, field

from fakesound.config.checks import at_least, one_of
from fakesound.errors import InputError


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
        one_of("features.kind", self.kind, ("logstft", "logmel", "lfcc"))
        one_of("features.hop_ms", str(self.hop_ms), ("1", "2", "4", "5", "10", "20"))
        at_least("features.bins", self.bins, 8)
        at_least("features.window", self.window, 64)
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
        one_of("backbone.stem.kind", self.kind, ("conv", "patch"))
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
    tied_decay: bool = False
    """One decay rate a channel instead of one a state: faster, and not what is published."""
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
        at_least("backbone.dim", self.dim, 8)
        at_least("backbone.depth", self.depth, 1)
        at_least("backbone.state", self.state, 1)
        at_least("backbone.expand", self.expand, 1)
        one_of("backbone.variant", self.variant, ("v1", "v2", "none"))
        one_of("backbone.order", self.order, ("time", "frequency"))
        if not 0 <= self.drop_path < 1:
            raise InputError(f"backbone.drop_path={self.drop_path}: must be 0 or more, below 1")
