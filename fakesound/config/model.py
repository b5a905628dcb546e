"""Configuration of features and backbone."""

from dataclasses import dataclass, field, fields

from fakesound.config.checks import check_choices, check_least, check_shares, one_of
from fakesound.errors import InputError

# keys that only some kinds of backbones have, by kind
KINDS = {
    "vim": ("state", "tied_decay", "variant", "expand", "order", "pos_embed", "checkpointing"),
    "transformer": ("expand", "head_dim", "order", "pos_embed", "checkpointing"),
    "ssd": ("state", "expand", "head_dim", "order", "pos_embed", "checkpointing"),
    "fcn_resnet": (),
    "mobilenet": ("expand",),
    "deeplab": ("expand",),
}
VARIANTS = ("v1", "v2", "none")
OWN_KEYS = tuple(dict.fromkeys(key for keys in KINDS.values() for key in keys))


@dataclass
class FeaturesConfig:
    """Input of the model."""

    kind: str = "logstft"
    """"logstft": linear frequency; "logmel"; "lfcc": cepstra of linear filters; "mel": power of mel
    bands without logarithm, in one channel, as in the 2024 project."""
    window: int = 512
    """Length of an analysis window in samples."""
    hop_ms: int = 10
    """Milliseconds between windows; a frame of 20 ms is a whole number of them."""
    bins: int = 256
    """Frequency bins, mel bands or cepstra."""
    mask: float = 0.0
    """Share of training pairs in which two frequency bands are masked."""
    phase: bool = False
    """logstft: three channels of phase derivatives in addition to those of power."""
    level: float | None = None
    """Level in dBFS to which a clip or window is scaled, measured without digital silence; null:
    unchanged."""
    floor: float = 1e-5
    """Power added before the logarithm."""
    spread: bool = False
    """Whether each bin is standardised by its mean and deviation over time."""

    def __post_init__(self) -> None:
        check_choices("features", self, kind=("logstft", "logmel", "lfcc", "mel"))
        one_of("features.hop_ms", str(self.hop_ms), ("1", "2", "4", "5", "10", "20"))
        check_least("features", self, bins=8, window=64)
        check_shares("features", self, "mask")
        if self.phase and self.kind != "logstft":
            raise InputError(
                f"features.phase=true: features.kind={self.kind} has no phase; use logstft"
            )
        if self.level is not None and not -60 <= self.level <= 0:
            raise InputError(f"features.level={self.level}: must be from -60 to 0, or null")
        if not 0 < self.floor <= 1:
            raise InputError(f"features.floor={self.floor}: must be above 0, at most 1")
        if self.kind == "logstft" and self.bins > self.window // 2:
            raise InputError(
                f"features.bins={self.bins}: a window of {self.window} samples gives at most "
                f"{self.window // 2}"
            )


@dataclass
class StemConfig:
    """First layers, which turn the spectrogram into tokens."""

    kind: str = "conv"
    """"conv": 2-D convolutions, one token per 20 ms; "patch": linear patches, as published."""
    channels: list[int] = field(default_factory=lambda: [16, 24, 32, 48, 64])
    """Channels of the convolutions; each but the first halves the number of bins. For
    convolutional networks: channels of their stages; each halves the number of bins."""
    blocks: int = 0
    """conv: number of residual blocks after each convolution but the first two."""
    phase_width: int = 12
    """conv, with features.phase: channels of the first convolution of phase."""
    drop_power: float = 0.0
    """conv, with features.phase: share of training pairs without the power channels."""
    drop_phase: float = 0.0
    """conv, with features.phase: share of training pairs without the phase channels."""
    statistics: bool = False
    """conv: whether mean and deviation over time are added to every token and passed to
    heads.pooling=two_way."""
    patch: list[int] = field(default_factory=lambda: [16, 16])
    """Height (bins) and width (windows) of a patch."""
    stride: list[int] | None = None
    """Step from patch to patch; patches overlap if it is smaller; null: the size of the patch."""

    def __post_init__(self) -> None:
        check_choices("backbone.stem", self, kind=("conv", "patch"))
        if not self.channels or min(self.channels) < 1:
            raise InputError(f"backbone.stem.channels={self.channels}: give at least one width")
        check_least("backbone.stem", self, blocks=0, phase_width=1)
        check_shares("backbone.stem", self, "drop_power", "drop_phase")
        if self.drop_power + self.drop_phase > 1:
            raise InputError(
                f"backbone.stem.drop_power={self.drop_power}: with drop_phase={self.drop_phase} "
                "exceeds 1; lower one of them"
            )
        if self.statistics and self.kind != "conv":
            raise InputError(
                f"backbone.stem.statistics=true: backbone.stem.kind={self.kind} has none; use conv"
            )
        for key in ("patch", "stride"):
            value = getattr(self, key)
            if value is not None and (len(value) != 2 or min(value) < 1):
                raise InputError(f"backbone.stem.{key}={value}: must be [bins, windows]")


@dataclass
class BackboneConfig:
    """Network from spectrogram to tokens in time; keys of other kinds are refused."""

    kind: str = "vim"
    """"vim": Vision Mamba; "transformer"; "ssd": bidirectional Mamba-2; "fcn_resnet", "mobilenet",
    "deeplab" (mobilenet with an atrous pyramid): convolutions only, with the stages of
    stem.channels."""
    name: str = "vim_micro"
    """Name in tables."""
    dim: int = 96
    """Width of a token."""
    depth: int = 3
    """Number of blocks; for convolutional networks, of each stage."""
    state: int = 16
    """vim, ssd: states per channel in the selective scan."""
    tied_decay: bool = False
    """vim: one decay rate per channel instead of per state; faster, unlike the published model."""
    expand: int = 2
    """Width inside a block (for a transformer, of its perceptron) in units of dim; not for
    fcn_resnet."""
    variant: str = "v2"
    """vim: "v2": separate parameters for each direction (Vim); "v1": shared except for A (AuM);
    "none": forward only."""
    head_dim: int = 32
    """transformer, ssd: channels per head."""
    order: str = "time"
    """Token order: "time"-major (all bands of one instant first) or "frequency"-major."""
    class_token: bool = True
    """Whether the summary is a class token in the middle of the sequence; otherwise, and in all
    convolutional networks, it is the mean of the tokens."""
    pos_embed: bool = False
    """Learned position embedding."""
    drop_path: float = 0.0
    """Rate of stochastic depth at the last block; the rate rises linearly from block to block."""
    checkpointing: bool = False
    """Whether activations inside blocks are recomputed for the gradient: less memory, about a third
    more time, the same gradients; not for convolutional networks."""
    interpolate: bool = False
    """Whether tokens are interpolated linearly to one per frame of 20 ms, so that the stem may step
    by any number of windows; not for convolutional networks."""
    stem: StemConfig = field(default_factory=StemConfig)

    def __post_init__(self) -> None:
        choices = {"variant": VARIANTS, "order": ("time", "frequency")}
        check_choices("backbone", self, kind=tuple(KINDS), **choices)
        check_least("backbone", self, dim=8, depth=1, state=1, expand=1, head_dim=1)
        if not 0 <= self.drop_path < 1:
            raise InputError(f"backbone.drop_path={self.drop_path}: must be 0 or more, below 1")
        self._check_kind()

    @property
    def has_tokens(self) -> bool:
        """Whether the backbone processes a sequence of tokens, unlike convolutional networks."""
        return "order" in KINDS[self.kind]

    @property
    def has_states(self) -> bool:
        """Whether the backbone is a scan with a state."""
        return "state" in KINDS[self.kind]

    def _check_kind(self) -> None:
        """Refuse keys of other kinds, unless they have their default."""
        defaults = {key.name: key.default for key in fields(self)}
        for key in OWN_KEYS:
            value = getattr(self, key)
            if key not in KINDS[self.kind] and value != defaults[key]:
                raise InputError(
                    f"backbone.{key}={str(value).lower()}: backbone.kind={self.kind} has no such "
                    f"key; leave it at {str(defaults[key]).lower()}"
                )
        if not self.has_tokens:
            self.class_token = False
            if self.interpolate:
                raise InputError(
                    f"backbone.interpolate=true: backbone.kind={self.kind} has a token for every "
                    "frame; leave it at false"
                )
            if self.stem.kind != "conv":
                raise InputError(
                    f"backbone.stem.kind={self.stem.kind}: must be conv for "
                    f"backbone.kind={self.kind}"
                )
        width = self.dim * (self.expand if self.kind == "ssd" else 1)
        if "head_dim" in KINDS[self.kind] and width % self.head_dim:
            raise InputError(
                f"backbone.head_dim={self.head_dim}: must divide the {width} channels of a block"
            )
