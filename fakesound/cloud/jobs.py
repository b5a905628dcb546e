"""Expand a command line of ``fakesound run`` into the jobs that a training service runs.

A job runs ``python -m fakesound.cloud.container`` with the overrides of the run as container
arguments. The run is in /opt/ml/checkpoints/IDENTITY, which SageMaker copies to S3 and restores
after an interruption.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.types import RunMode
from omegaconf import DictConfig

from fakesound.config import RunConfig
from fakesound.config.compose import compose_config, readable_errors, run_config
from fakesound.config.data import PARTS
from fakesound.config.saved import identity
from fakesound.errors import InputError

CHECKPOINTS = "/opt/ml/checkpoints"
# limits of SageMaker's ContainerArguments
MOST_ARGUMENTS, LONGEST_ARGUMENT = 100, 256
# keys that the container sets
RESERVED = ("resume", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra/launcher")


@dataclass(frozen=True)
class Job:
    """A run, or a search of many runs, to submit.

    Attributes:
        name: name of the run or sweep, and of its folder in the bucket.
        identity: digest of everything that determines its results.
        arguments: arguments of ``fakesound run``.
    """

    name: str
    identity: str
    arguments: tuple[str, ...]


def expand(words: Sequence[str], multirun: bool) -> list[Job]:
    """Return the jobs of a command line: one for each run of a grid, one for a whole search.

    Args:
        words: overrides of ``fakesound run``.
        multirun: whether several values of a key mean several runs, as with ``-m``; a sweep file
            can set this too.

    Raises:
        InputError: if an override, or a run of the grid, is invalid.
    """
    overrides, sweeper = _overrides(words, multirun)
    swept = {key for key, override in overrides.items() if override.is_sweep_override()}
    fixed = [_text(override) for key, override in overrides.items() if key not in swept]
    if sweeper is None:
        return [_job(fixed)]
    if "BasicSweeper" not in str(sweeper.get("_target_")):
        # one job for a search, since each run depends on the previous ones
        base = _job(fixed)
        what = "\n".join([base.identity, *sorted(words)])
        own = hashlib.sha256(what.encode()).hexdigest()[:16]
        folder = [f"hydra.sweep.dir={CHECKPOINTS}/{own}", "resume=auto"]
        return [Job(base.name, own, _checked(["-m", *words, *folder]))]
    for key in swept:
        if isinstance(overrides[key].value(), IntervalSweep):
            raise InputError(f"{key}: is a range to search; add sweep=optuna, or give its values")
    (batch,) = BasicSweeper.split_arguments(list(overrides.values()), None)
    jobs = [_job(texts, [t for t in texts if t.partition("=")[0] in swept]) for texts in batch]
    return list({job.identity: job for job in jobs}.values())


def _overrides(
    words: Sequence[str], multirun: bool
) -> tuple[dict[str, Override], DictConfig | None]:
    """Return all overrides by key, and Hydra's sweeper if they mean several runs."""
    parser = OverridesParser.create()
    with readable_errors():
        parsed = parser.parse_overrides(list(words))
    for override in parsed:
        if (override.key_or_group or "") in RESERVED:
            raise InputError(f"{override.key_or_group}: is set by the launcher; remove it")
    plain = [word for word, o in zip(words, parsed, strict=True) if not o.is_sweep_override()]
    hydra = compose_config(plain, with_hydra=True).hydra
    sweeper = hydra.sweeper if multirun or hydra.mode == RunMode.MULTIRUN else None
    params = (sweeper.get("params") or {}) if sweeper is not None else {}
    with readable_errors():
        swept = parser.parse_overrides([f"{key}={values}" for key, values in params.items()])
    # the command line comes last, since it overrides the sweep file
    overrides = {
        override.get_key_element(): override
        for override in [*swept, *parsed]
        if not str(override.key_or_group).startswith("hydra")
    }
    if sweeper is None:
        for key, override in overrides.items():
            if override.is_sweep_override():
                raise InputError(f"{key}: has several values; add -m to run each")
    return overrides, sweeper


def _job(texts: Sequence[str], varied: Sequence[str] = ()) -> Job:
    """Return the job of one run, named at W&B by the keys that vary in its sweep."""
    config = run_config(compose_config(texts))
    _check_remote(config)
    own = identity(config)
    arguments = [*texts, f"hydra.run.dir={CHECKPOINTS}/{own}", "hydra.mode=RUN", "resume=auto"]
    if varied:
        group = config.logger.group or config.name
        arguments += [f"name={quoted(','.join(varied))}", f"logger.group={quoted(group)}"]
    return Job(config.name, own, _checked(arguments))


def _text(override: Override) -> str:
    if override.is_delete() and override.value() is None:
        return override.get_key_element()
    return f"{override.get_key_element()}={override.get_value_element_as_str()}"


def quoted(text: str) -> str:
    """Return ``text`` quoted as one value of Hydra's grammar."""

    # backslashes are literal, except before a quote and at the end
    def escaped(match: re.Match[str]) -> str:
        return match[1] * 2 + (r"\'" if match[2] else "")

    return "'" + re.sub(r"(\\*)('|$)", escaped, text) + "'"


def _checked(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return ``arguments``, which must be within the limits of SageMaker."""
    for argument in arguments:
        if len(argument) > LONGEST_ARGUMENT:
            raise InputError(
                f"{argument[:60]}...: has {len(argument)} characters, SageMaker allows "
                f"{LONGEST_ARGUMENT}; put it into a file under conf/ and rebuild the image"
            )
    if len(arguments) > MOST_ARGUMENTS:
        raise InputError(
            f"{len(arguments)} arguments: SageMaker allows {MOST_ARGUMENTS}; put some into a file "
            "under conf/ and rebuild the image"
        )
    return tuple(arguments)


def _check_remote(config: RunConfig) -> None:
    """Raise `InputError` for local data, with the command that copies it to S3."""
    locations = {f"data.{key}": getattr(config.data, key) for key in ("root", "manifest", "extra")}
    locations |= {f"data.{part}": getattr(config.data, part) for part in PARTS}
    locations["init.path"] = config.init.path
    for key, value in locations.items():
        for location in [value] if isinstance(value, str) else value or []:
            if "://" not in location:
                # the audio of a manifest is usually in its folder
                folder = key in ("data.root", "data.extra", "init.path")
                path = Path(location) if folder else Path(location).parent
                raise InputError(
                    f"{key}={location}: is on this machine; copy it with `aws s3 cp --recursive "
                    f"{path} s3://BUCKET/{path.name}` and give its s3:// address"
                )
