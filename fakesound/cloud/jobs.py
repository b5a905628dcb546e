"""From the words of a command line to the runs that they mean, one a training job."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.types import RunMode

from fakesound.cloud.channels import take_channels
from fakesound.cloud.grammar import quoted
from fakesound.cloud.ranges import Ranges, ranges_of
from fakesound.config import RunConfig
from fakesound.config.compose import compose_config, readable_errors, run_config
from fakesound.config.saved import identity
from fakesound.errors import InputError

# what the container decides
NOT_OURS = ("resume", "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra/launcher")
ONE_RUN = {"hydra.mode": "RUN"}


@dataclass(frozen=True)
class Job:
    """A run to be done, or many trials of it.

    Attributes:
        name: of the run or sweep; its folder.
        identity: digest of all that decides its results.
        hyperparameters: overrides of the configuration, by key.
        channels: S3 addresses of its data, by the name of the channel.
        ranges: what a tuning job varies besides; None for a single run.
    """

    name: str
    identity: str
    hyperparameters: Mapping[str, str]
    channels: Mapping[str, str] = field(default_factory=dict)
    ranges: Ranges | None = None


def expand(words: Sequence[str], multirun: bool) -> list[Job]:
    """Return the runs that overrides mean, a sweep by Hydra's own grammar; no run twice.

    Args:
        words: overrides as ``python -m fakesound.run`` takes them.
        multirun: whether several values of a key mean several runs, as ``-m`` says; a sweep file
            says so itself.

    Raises:
        InputError: if a word, or a run that comes of them, is wrong.
    """
    overrides, sweeper = _overrides(words, multirun)
    for key, override in overrides.items():
        if isinstance(override.value(), IntervalSweep):
            raise InputError(f"{key}: is a range to search; add --tune, or give its values")
    if sweeper is None:
        return [_job([_text(override) for override in overrides.values()], {})]
    (batch,) = BasicSweeper.split_arguments(list(overrides.values()), None)
    varied = {key for key, override in overrides.items() if override.is_sweep_override()}
    jobs = [
        _job(texts, _place_in_sweep([text for text in texts if text.partition("=")[0] in varied]))
        for texts in batch
    ]
    return list({job.identity: job for job in jobs}.values())


def tuning(words: Sequence[str]) -> Job:
    """Return the search that overrides mean, its ranges taken from a sweep file or the words.

    Raises:
        InputError: if there is nothing to search, or a word is wrong.
    """
    overrides, sweeper = _overrides(words, multirun=True)
    assert sweeper is not None
    space = {key: o for key, o in overrides.items() if o.is_sweep_override()}
    ranges = ranges_of(space, sweeper)
    fixed = [_text(override) for key, override in overrides.items() if key not in space]
    job = _job(fixed, {})
    # a value inside each range, to find what is wrong before any trial does
    run_config(compose_config([*fixed, *ranges.sample()]))
    what = json.dumps([job.identity, ranges.request()], sort_keys=True)
    digest = hashlib.sha256(what.encode()).hexdigest()[:16]
    hyperparameters = {**job.hyperparameters, **ONE_RUN, "logger.group": quoted(job.name)}
    return Job(job.name, digest, hyperparameters, job.channels, ranges)


def _overrides(
    words: Sequence[str], multirun: bool
) -> tuple[dict[str, Override], Mapping[str, Any] | None]:
    """Return all overrides by key, and Hydra's sweeper where they mean a sweep."""
    parser = OverridesParser.create()
    with readable_errors():
        given = parser.parse_overrides(list(words))
    for override in given:
        if (override.key_or_group or "") in NOT_OURS:
            raise InputError(f"{override.key_or_group}: is chosen by the launcher; leave it out")
    plain = [word for word, o in zip(words, given, strict=True) if not o.is_sweep_override()]
    composed = compose_config(plain, with_hydra=True)
    several = multirun or composed.hydra.mode == RunMode.MULTIRUN
    sweeper = composed.hydra.sweeper if several else None
    params = (sweeper.get("params") or {}) if sweeper is not None else {}
    with readable_errors():
        swept = parser.parse_overrides([f"{key}={values}" for key, values in params.items()])
    # by key, so that the command line has the last word
    overrides = {
        override.get_key_element(): override
        for override in [*swept, *given]
        if not str(override.key_or_group).startswith("hydra")
    }
    if sweeper is None:
        for key, override in overrides.items():
            if override.is_sweep_override():
                raise InputError(f"{key}: has several values; add -m to run each")
    return overrides, sweeper


def _job(texts: Sequence[str], more: Mapping[str, str]) -> Job:
    config = run_config(compose_config(texts))
    hyperparameters = dict(text.partition("=")[::2] for text in texts)
    channels = take_channels(config, hyperparameters)
    return Job(config.name, identity(config), hyperparameters | _named(more, config), channels)


def _place_in_sweep(varied: Sequence[str]) -> dict[str, str]:
    """Return what makes a run of a sweep one run, named by what it varies, for W&B."""
    return ONE_RUN | {"name": quoted(",".join(varied))} if varied else dict(ONE_RUN)


def _named(more: Mapping[str, str], config: RunConfig) -> dict[str, str]:
    group = config.logger.group or config.name
    return {**more, "logger.group": quoted(group)} if more else {}


def _text(override: Override) -> str:
    if override.is_delete() and override.value() is None:
        return override.get_key_element()
    return f"{override.get_key_element()}={override.get_value_element_as_str()}"
