"""Metadata of detectors: all that their scores depend on beside the weights, and its text form."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fakesound import __version__
from fakesound.config import RunConfig
from fakesound.config.saved import from_plain
from fakesound.errors import InputError
from fakesound.scoring.calibration import IDENTITY, Calibrator
from fakesound.scoring.clip_score import FurtherHeads
from fakesound.timeline import GRID

FORMAT = "fakesound"
FORMAT_VERSION = 1
HEADS_KEY = "fakesound_heads"
# name of the detector that comes with the package, and its file
DEFAULT = "default"
PRETRAINED = Path(__file__).parents[1] / "pretrained" / "detector.safetensors"


@dataclass(frozen=True, kw_only=True)
class Metadata:
    """All that the scores of a detector depend on beside its weights.

    Attributes:
        config: configuration of the run that trained it.
        thresholds: thresholds of "clip" and "frame" scores, chosen on validation; may be missing.
        calibrator: map of clip logits, fitted on validation; the identity by default.
        attacks: attacks in its training, ``family/generator``; None if unknown.
        selected_on: attacks that only served to choose the model and its thresholds.
        heads: families and thresholds of its boundary and attribution heads.
        sources: hashes of the recordings in its training and validation; None if unknown.
    """

    config: RunConfig
    thresholds: Mapping[str, float] = field(default_factory=dict)
    calibrator: Calibrator = IDENTITY
    attacks: tuple[str, ...] | None = None
    selected_on: tuple[str, ...] = ()
    heads: FurtherHeads = field(default_factory=FurtherHeads)
    sources: frozenset[str] | None = None

    def metadata(self) -> dict[str, str]:
        """Return the metadata of exported files, as text.

        Folders of the machine that trained the detector are reduced to their last names.
        """
        return {
            "format": FORMAT,
            "format_version": str(FORMAT_VERSION),
            "fakesound_version": __version__,
            "sample_rate": str(self.config.data.sample_rate),
            "frame_step": str(GRID.step),
            **{f"{level}_threshold": repr(at) for level, at in self.thresholds.items()},
            "calibrator": json.dumps(self.calibrator.to_plain()),
            **({} if self.attacks is None else {"attacks": json.dumps(self.attacks)}),
            "selected_on": json.dumps(self.selected_on),
            **({} if self.sources is None else {"sources": json.dumps(sorted(self.sources))}),
            **({HEADS_KEY: json.dumps(heads)} if (heads := self.heads.to_plain()) else {}),
            "config": json.dumps(_without_places(asdict(self.config))),
        }


def parse_metadata(path: Path, metadata: Mapping[str, str]) -> Metadata:
    """Return the metadata of the exported detector at ``path``.

    Raises:
        InputError: naming the file, if it is not of this program, damaged or of a newer version.
    """
    if metadata.get("format") != FORMAT:
        raise InputError(
            f"{path}: was not exported by fakesound; give the folder of a run, its "
            "checkpoints/best.ckpt or an exported file"
        )
    try:
        version, plain = int(metadata["format_version"]), json.loads(metadata["config"])
        thresholds = {
            level: float(metadata[f"{level}_threshold"])
            for level in ("clip", "frame")
            if f"{level}_threshold" in metadata
        }
        keys = ("calibrator", "attacks", "selected_on", "sources")
        held = {key: json.loads(metadata[key]) for key in keys if key in metadata}
        fields = learnt_fields(held | {"thresholds": thresholds})
        heads = FurtherHeads.from_plain(json.loads(metadata.get(HEADS_KEY, "{}")))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its metadata is damaged ({error}); export it again") from error
    if version > FORMAT_VERSION:
        raise InputError(f"{path}: is of a newer fakesound; upgrade fakesound to read it")
    return Metadata(config=parse_config(path, plain), heads=heads, **fields)


def learnt_fields(plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of `Metadata` in ``plain``, which training writes; some may be missing.

    Raises:
        AttributeError, KeyError, TypeError, ValueError: for other values.
    """
    made: dict[str, Callable[[Any], Any]] = {
        "thresholds": lambda levels: {level: float(at) for level, at in levels.items()},
        "calibrator": Calibrator.from_plain,
        "attacks": tuple,
        "selected_on": tuple,
        "sources": frozenset,
    }
    return {key: make(plain[key]) for key, make in made.items() if key in plain}


def parse_config(path: Path, plain: Mapping[str, object]) -> RunConfig:
    """Return the configuration in the file at ``path``, with the keys of today.

    Raises:
        InputError: naming the file, if it does not fit this version.
    """
    try:
        return from_plain(plain)
    except InputError as error:
        raise InputError(
            f"{path}: its configuration is not of this version of fakesound ({error}); use the "
            "version that trained it"
        ) from error


def _without_places(value: Any) -> Any:  # noqa: ANN401  # whatever a configuration holds
    if isinstance(value, dict):
        return {key: _without_places(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_places(inner) for inner in value]
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return value
