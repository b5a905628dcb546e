"""Metadata of detectors: everything their scores depend on besides the weights."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fakesound.config import RunConfig
from fakesound.config.saved import from_plain
from fakesound.errors import InputError
from fakesound.provenance import software_version
from fakesound.scoring.calibration import IDENTITY, Calibrator
from fakesound.scoring.clip_score import HeadCalibration
from fakesound.timeline import GRID

FORMAT = "fakesound"
FORMAT_VERSION = 1
HEADS_KEY = "fakesound_heads"
# name and file of the detector in the package
DEFAULT = "default"
PRETRAINED = Path(__file__).parents[1] / "pretrained" / "detector.safetensors"


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """Everything the scores of a detector depend on besides its weights.

    Attributes:
        config: configuration of the training run.
        thresholds: thresholds of "clip" and "frame" scores, chosen on validation; may be empty.
        calibrator: calibrator of clip logits, fitted on validation; the identity by default.
        attacks: attacks in the training set, ``family/generator``; None if unknown.
        selected_on: attacks used only to select the model and its thresholds.
        heads: families and thresholds of the boundary and attribution heads.
        sources: hashes of the recordings in training and validation; None if unknown.
    """

    config: RunConfig
    thresholds: Mapping[str, float] = field(default_factory=dict)
    calibrator: Calibrator = IDENTITY
    attacks: tuple[str, ...] | None = None
    selected_on: tuple[str, ...] = ()
    heads: HeadCalibration = field(default_factory=HeadCalibration)
    sources: frozenset[str] | None = None

    def fold(self, attack: str | None) -> str | None:
        """Return "seen" or "unseen" for an ``attack``.

        None for genuine clips, for attacks used only for selection, and if training is unknown.
        """
        if attack is None or self.attacks is None or attack in self.selected_on:
            return None
        return "seen" if attack in self.attacks else "unseen"

    def metadata(self) -> dict[str, str]:
        """Return the metadata as text for exported files.

        Absolute paths in the configuration are reduced to their last component.
        """
        return {
            "format": FORMAT,
            "format_version": str(FORMAT_VERSION),
            "fakesound_version": software_version(),
            "sample_rate": str(self.config.data.sample_rate),
            "frame_step": str(GRID.step),
            **{f"{level}_threshold": repr(at) for level, at in self.thresholds.items()},
            "calibrator": json.dumps(self.calibrator.to_plain()),
            **({} if self.attacks is None else {"attacks": json.dumps(self.attacks)}),
            "selected_on": json.dumps(self.selected_on),
            **({} if self.sources is None else {"sources": json.dumps(sorted(self.sources))}),
            **({HEADS_KEY: json.dumps(heads)} if (heads := self.heads.to_plain()) else {}),
            "config": json.dumps(_without_folders(asdict(self.config))),
        }


def parse_metadata(path: Path, metadata: Mapping[str, str]) -> Metadata:
    """Return the metadata of the exported detector at ``path``.

    Raises:
        InputError: naming the file, if another program or a newer version wrote it, or if it is
            damaged.
    """
    if metadata.get("format") != FORMAT:
        raise InputError(
            f"{path}: was not exported by fakesound; give the folder of a run, its "
            "checkpoints/best.ckpt or an exported file"
        )
    # first: a newer format may lack the keys that are read below
    version = metadata.get("format_version", "")
    if version.isdecimal() and int(version) > FORMAT_VERSION:
        raise InputError(f"{path}: was written by a newer fakesound; upgrade fakesound to read it")
    try:
        plain = json.loads(metadata["config"])
        thresholds = {
            level: float(metadata[f"{level}_threshold"])
            for level in ("clip", "frame")
            if f"{level}_threshold" in metadata
        }
        keys = ("calibrator", "attacks", "selected_on", "sources")
        plain_fields = {key: json.loads(metadata[key]) for key in keys if key in metadata}
        fields = fitted_fields(plain_fields | {"thresholds": thresholds})
        heads = HeadCalibration.from_plain(json.loads(metadata.get(HEADS_KEY, "{}")))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its metadata is damaged ({error}); export it again") from error
    return Metadata(config=parse_config(path, plain), heads=heads, **fields)


def fitted_fields(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Convert plain values to the fields of `Metadata` that training fits; some may be absent.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: for values of other types.
    """
    converters: dict[str, Callable[[Any], Any]] = {
        "thresholds": lambda levels: {level: float(at) for level, at in levels.items()},
        "calibrator": Calibrator.from_plain,
        "attacks": tuple,
        "selected_on": tuple,
        "sources": frozenset,
    }
    return {key: convert(plain[key]) for key, convert in converters.items() if key in plain}


def parse_config(path: Path, plain: Mapping[str, object]) -> RunConfig:
    """Return the configuration in the file at ``path``, renamed keys updated.

    Raises:
        InputError: naming the file, if the configuration does not fit this version.
    """
    try:
        return from_plain(plain)
    except InputError as error:
        raise InputError(
            f"{path}: its configuration does not fit this version of fakesound ({error}); use the "
            "version that trained it"
        ) from error


def _without_folders(value: Any) -> Any:  # noqa: ANN401  # any value of a configuration
    if isinstance(value, dict):
        return {key: _without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_folders(inner) for inner in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value
