"""Flatten and identify configurations as plain values, and read those saved by any version."""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, is_dataclass
from typing import Any

import msgspec

from fakesound.config.checks import unknown_key
from fakesound.config.training import RunConfig
from fakesound.errors import InputError

# current names of keys and sections of version 0.1
RENAMED = {
    "init.from": "init.path",
    "optim.final": "optim.final_lr_factor",
    "backbone.position": "backbone.pos_embed",
    "data.variation": "data.fake_augmentation",
    "data.crop.whole": "data.crop.fully_fake_share",
    "data.crop.foreign": "data.crop.cross_recording_share",
    "data.crop.shortest": "data.crop.min_region_seconds",
    "data.crop.longest": "data.crop.max_region_seconds",
    "data.crop.most": "data.crop.max_regions",
    "data.crop.host": "data.crop.channel_share",
    "data.crop.genuine": "data.crop.genuine_splice_share",
    "data.crop.independent": "data.crop.independent_share",
}
# replacements of removed keys of version 0.1
REMOVED = {
    "loss.clip": "use loss.frame_share, the clip loss gets the rest of 1",
    "loss.frame": "use loss.frame_share, the clip loss gets the rest of 1",
    "trainer.strategy": "leave it out, several processes always train with ddp",
}
# behaviour before a key existed, if it is not or may not stay the default
BEFORE: dict[str, Any] = {
    "decision.false_alarms": None,
    "decision.fake_time": None,
    "features.phase": False,
    "features.level": None,
    "features.floor": 1e-5,
    "features.spread": False,
    "backbone.stem.statistics": False,
    "backbone.stem.drop_power": 0.0,
    "backbone.stem.drop_phase": 0.0,
    "calibration": "none",
    "data.crop.cross_recording_share": 0.0,
    "data.augment.reverb": 0.0,
    "data.augment.band": 0.0,
    "data.augment.impulses": 0.0,
    "data.augment.saturation": 0.0,
    "data.augment.codec": 0.0,
    "data.augment.telephone": 0.0,
    "data.fake_augmentation.band": 0.0,
    "data.fake_augmentation.dilution": 0.0,
    "data.fake_augmentation.smooth": 0.0,
    "data.fake_augmentation.clean": 0.0,
    "data.fake_augmentation.colour": 0.0,
}
# keys that do not change results; trainer.strategy and the enable_* of the trainer are in saved
# configurations
NO_RESULT = (
    *("name", "resume", "tags", "logger", "checkpoint_steps"),
    *("data.workers", "data.forge_workers", "data.prepared"),
    *("trainer.devices", "trainer.num_nodes", "trainer.strategy"),
)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested ``values`` as one mapping, with keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        inner = flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else None
        flat |= inner or {f"{prefix}{key}": value}
    return flat


def identity(config: RunConfig | Mapping[str, Any]) -> str:
    """Return a digest of all keys that determine the results of a run.

    Args:
        config: configuration, or its plain values as saved by a run.
    """
    plain = deepcopy(dict(config)) if isinstance(config, Mapping) else asdict(config)
    for key in NO_RESULT:
        *sections, name = key.split(".")
        section = plain
        for part in sections:
            section = section.get(part, {})
        section.pop(name, None)
    trainer = plain.get("trainer", {})
    plain["trainer"] = {k: v for k, v in trainer.items() if not k.startswith("enable_")}
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def renamed(plain: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the plain values of a saved configuration under the current keys.

    Args:
        plain: values of the configuration, or of one of its sections.
        prefix: name of the section with a final dot.
    """
    current: dict[str, Any] = {}
    for name, value in plain.items():
        key = f"{prefix}{name}"
        if key not in REMOVED:
            new = RENAMED.get(key, key).rpartition(".")[2]
            current[new] = renamed(value, f"{key}.") if isinstance(value, Mapping) else value
    if prefix == "loss." and {"clip", "frame"} <= plain.keys():
        # both weights were never 0
        total = plain["clip"] + plain["frame"]
        current["frame_share"] = plain["frame"] / total if total else 0.0
    return current


def from_plain(plain: Mapping[str, Any]) -> RunConfig:
    """Return the configuration that a run of any version saved as ``plain`` values.

    Keys that are newer than the run get the values that match its behaviour.

    Raises:
        InputError: in one line, for an unknown key or an invalid value.
    """
    current = renamed(plain)
    seconds = ((plain.get("data") or {}).get("crop") or {}).get("seconds")
    before = BEFORE | ({} if seconds is None else {"data.window_seconds": seconds})
    for key, value in before.items():
        *sections, name = key.split(".")
        section: Any = current
        for part in sections:
            section = section.setdefault(part, {}) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section.setdefault(name, value)
    _check_keys(current, RunConfig())
    try:
        return msgspec.convert(current, RunConfig)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, InputError):
            raise error.__cause__ from None
        what, _, where = str(error).partition(" - at `$.")
        raise InputError(f"{where.rstrip('`')}: {what}") from None


def _check_keys(plain: Mapping[str, Any], section: Any, prefix: str = "") -> None:  # noqa: ANN401
    """Refuse keys that are not in a ``section`` of the schema."""
    known = vars(section)
    for name, value in plain.items():
        if name not in known:
            raise unknown_key(f"{prefix}{name}", known)
        if is_dataclass(known[name]) and isinstance(value, Mapping):
            _check_keys(value, known[name], f"{prefix}{name}.")
