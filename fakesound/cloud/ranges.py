"""Ranges of a search, from Hydra's sweep grammar to SageMaker's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from fakesound.config.checks import at_least
from fakesound.errors import InputError

# SageMaker's own limit
MOST_VALUES = 30


@dataclass(frozen=True)
class Ranges:
    """What a search varies, and how long it goes on.

    Attributes:
        integers: by key, least and greatest value and whether steps are logarithmic.
        floats: the same of real numbers.
        values: by key, the values it may take.
        trials: in all.
        at_once: side by side.
        seed: of the search.
    """

    integers: Mapping[str, tuple[int, int, bool]]
    floats: Mapping[str, tuple[float, float, bool]]
    values: Mapping[str, tuple[str, ...]]
    trials: int
    at_once: int
    seed: int

    def request(self) -> dict[str, list[dict[str, Any]]]:
        """Return the ``ParameterRanges`` of a tuning job."""
        return {
            "IntegerParameterRanges": [_interval(*item) for item in self.integers.items()],
            "ContinuousParameterRanges": [_interval(*item) for item in self.floats.items()],
            "CategoricalParameterRanges": [
                {"Name": key, "Values": list(values)} for key, values in self.values.items()
            ],
        }

    def sample(self) -> list[str]:
        """Return one of the settings as overrides."""
        firsts: dict[str, object] = {key: low for key, (low, _, _) in self.integers.items()}
        firsts |= {key: low for key, (low, _, _) in self.floats.items()}
        firsts |= {key: values[0] for key, values in self.values.items()}
        return [f"{key}={value}" for key, value in firsts.items()]


def ranges_of(space: Mapping[str, Override], sweeper: Mapping[str, Any]) -> Ranges:
    """Return what ``space`` lets each key be: intervals, ranges and choices.

    Args:
        space: overrides with several values, by key.
        sweeper: Hydra's settings of the sweep, of which trials, at_once and seed are taken.

    Raises:
        InputError: if there is nothing to search, or too much.
    """
    if not space:
        raise InputError(
            "--tune: no key has several values to search; name a sweep, as sweep=optuna, or give "
            "some, as 'optim.lr=tag(log,interval(5e-4,8e-3))'"
        )
    integers: dict[str, tuple[int, int, bool]] = {}
    floats: dict[str, tuple[float, float, bool]] = {}
    values: dict[str, tuple[str, ...]] = {}
    for key, override in space.items():
        value = override.value()
        if isinstance(value, IntervalSweep):
            assert value.start is not None
            assert value.end is not None
            log = "log" in value.tags
            if isinstance(value.start, int):
                integers[key] = (value.start, int(value.end), log)
            else:
                floats[key] = (float(value.start), float(value.end), log)
        elif isinstance(value, RangeSweep) and (type(value.start), value.step) == (int, 1):
            # it ends before its stop
            numbers = [int(number) for number in value.range()]
            integers[key] = (numbers[0], numbers[-1], False)
        else:
            values[key] = tuple(map(str, override.sweep_string_iterator()))
            if len(values[key]) > MOST_VALUES:
                raise InputError(
                    f"{key}: has {len(values[key])} values, and SageMaker searches at most "
                    f"{MOST_VALUES}; leave some out"
                )
    numbers_of = {key: int(sweeper.get(key, default)) for key, default in DEFAULTS.items()}
    for key in ("trials", "at_once"):
        at_least(f"hydra.sweeper.{key}", numbers_of[key], 1)
    return Ranges(integers, floats, values, **numbers_of)


# of a sweep that does not say
DEFAULTS = {"trials": 40, "at_once": 1, "seed": 0}


def _interval(key: str, interval: tuple[float, float, bool]) -> dict[str, str]:
    low, high, log = interval
    scale = "Logarithmic" if log else "Linear"
    return {"Name": key, "MinValue": str(low), "MaxValue": str(high), "ScalingType": scale}
