"""Hydra's side of a run: where ``conf/`` is, composing it, and turning its errors into one line."""

import difflib
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from fakesound.config import RunConfig
from fakesound.errors import InputError

# keys that change where a run goes and how it is watched, not what comes out of it
IDENTITY_FREE = ("name", "resume", "tags", "logger", "checkpoint_steps")
IDENTITY_FREE_DATA = ("workers", "forge_workers", "prepared")
# nor does on how many processes it is computed, but for rounding and draws inside the model
IDENTITY_FREE_TRAINER = ("devices", "num_nodes", "strategy")
LONGEST_NAME = 120


def configuration_folder() -> Path:
    """Return ``conf/``: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def register_schema() -> None:
    """Make the schema known to Hydra, so that every key and type is checked while composing."""
    OmegaConf.register_new_resolver("slug", _slug, replace=True)
    OmegaConf.register_new_resolver("attacks", _attacks, replace=True)
    ConfigStore.instance().store(name="schema", node=RunConfig)


def compose_config(overrides: Sequence[str], with_hydra: bool = False) -> DictConfig:
    """Return the configuration that ``overrides`` give.

    Raises:
        InputError: in one line, for a key, value or file that is wrong.
    """
    register_schema()
    # inside a running application, Hydra is there already
    fresh = not GlobalHydra.instance().is_initialized()
    with readable_errors():
        try:
            if not fresh:
                return compose("config", list(overrides), return_hydra_config=with_hydra)
            with initialize_config_dir(str(configuration_folder()), version_base="1.3"):
                return compose("config", list(overrides), return_hydra_config=with_hydra)
        except ValueError as error:  # Hydra's word for an override it cannot make sense of
            raise InputError(_one_line(error)) from error


def run_config(composed: DictConfig) -> RunConfig:
    """Return the typed configuration, every value checked.

    Raises:
        InputError: in one line, for a value that is wrong or a key that the schema does not know.
    """
    with readable_errors():
        # Hydra's own node resolves only inside a job
        keys = [str(key) for key in composed if key != "hydra"]
        picked = OmegaConf.masked_copy(composed, keys)
        plain = OmegaConf.to_container(picked, resolve=True, throw_on_missing=True)
        # merged again into the schema, since "+key=value" slips past Hydra's own check
        checked = OmegaConf.merge(OmegaConf.structured(RunConfig), plain)
        config = OmegaConf.to_object(checked)
    assert isinstance(config, RunConfig)
    return config


def default_values() -> dict[str, Any]:
    """Return what every key is where nothing is said, keys joined by dots."""
    return _flat(asdict(run_config(compose_config([]))))


def identity(config: RunConfig) -> str:
    """Return a digest of all that decides the results of a run."""
    plain: dict[str, Any] = asdict(config)
    for key in IDENTITY_FREE:
        plain.pop(key)
    for key in IDENTITY_FREE_DATA:
        plain["data"].pop(key)
    plain["trainer"] = {
        key: value
        for key, value in plain["trainer"].items()
        if key not in IDENTITY_FREE_TRAINER and not key.startswith("enable_")
    }
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn errors of Hydra and OmegaConf into an `InputError` of one line."""
    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(_one_line(error)) from error


def _one_line(error: BaseException) -> str:
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or cause.__context__
    if any(isinstance(link, InputError) for link in chain):
        return str(next(link for link in chain if isinstance(link, InputError)))
    for link in chain:
        key = getattr(link, "full_key", None)
        if isinstance(link, OmegaConfBaseException) and key:
            parent = getattr(link, "parent_node", None)
            if isinstance(link, ConfigKeyError | AttributeError) and isinstance(parent, DictConfig):
                return _unknown_key(key, [str(name) for name in parent])
            return f"{key}: {_first_line(link)}"
    if isinstance(error, MissingConfigException) and error.options:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        return f"{group}={choice}: no such choice; there are {', '.join(error.options)}"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: cannot be read as key=value; quote values with special signs"
    line = _first_line(chain[0])
    several = re.fullmatch(r"Ambiguous value for argument '(.*)'", line)
    if several:
        return f"{several[1]}: has several values; add -m to run each, or quote them to be one"
    return line


def _unknown_key(key: str, there: list[str]) -> str:
    near = difflib.get_close_matches(key.split(".")[-1], there, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{key}: no such key; {hint}there are {', '.join(sorted(there))}"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= (
            _flat(value, f"{prefix}{key}.")
            if isinstance(value, dict)
            else {f"{prefix}{key}": value}
        )
    return flat


def _attacks(part: str) -> str:
    """Return the "names" or the "families" of the attacks of the forge, as a sweep over them."""
    # with scipy behind it, too slow to import for what needs no list of attacks
    from fakesound.attacks import ATTACKS, BUILT_IN

    return ",".join(sorted({n if part == "names" else ATTACKS[n].family for n in BUILT_IN}))


def _slug(text: str) -> str:
    """Return ``text`` as a folder name, of a length that every file system takes."""
    name = "".join(c if c.isalnum() or c in "=,.-_" else "-" for c in str(text)) or "run"
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[:LONGEST_NAME]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
