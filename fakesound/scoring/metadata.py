"""Metadata of exported detectors: all that their scores depend on beside the weights, as text."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fakesound.config import RunConfig
from fakesound.config.saved import from_plain
from fakesound.errors import InputError
from fakesound.scoring.calibration import IDENTITY, Calibrator
from fakesound.scoring.clip_score import FurtherHeads

FORMAT = "fakesound"
FORMAT_VERSION = 1
HEADS_KEY = "fakesound_heads"
# name of the detector that comes with the package, and its file
DEFAULT = "default"
PRETRAINED = Path(__file__).parents[1] / "pretrained" / "detector.safetensors"


class Metadata(NamedTuple):
    """Parsed metadata of an exported detector.

    Attributes:
        config: configuration of the run that trained it.
        thresholds: thresholds of "clip" and "frame" scores; may be missing.
        calibrator: map of clip logits.
        attacks: attacks in its training, ``family/generator``; None if unknown.
        selected_on: attacks that only served to choose the model and its thresholds.
        heads: families and thresholds of its boundary and attribution heads.
        sources: hashes of the recordings in its training and validation; None if unknown.
    """

    config: RunConfig
    thresholds: Mapping[str, float]
    calibrator: Calibrator
    attacks: tuple[str, ...] | None
    selected_on: tuple[str, ...]
    heads: FurtherHeads
    sources: frozenset[str] | None


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
        attacks = tuple(json.loads(metadata["attacks"])) if "attacks" in metadata else None
        selected_on = tuple(json.loads(metadata.get("selected_on", "[]")))
        calibrator = IDENTITY
        if "calibrator" in metadata:
            calibrator = Calibrator.from_plain(json.loads(metadata["calibrator"]))
        heads = FurtherHeads.from_plain(json.loads(metadata.get(HEADS_KEY, "{}")))
        sources = frozenset(json.loads(metadata["sources"])) if "sources" in metadata else None
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its metadata is damaged ({error}); export it again") from error
    if version > FORMAT_VERSION:
        raise InputError(f"{path}: is of a newer fakesound; upgrade fakesound to read it")
    config = parse_config(path, plain)
    return Metadata(config, thresholds, calibrator, attacks, selected_on, heads, sources)


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
