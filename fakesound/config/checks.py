"""Checks of values; the error names the key."""

from collections.abc import Collection, Mapping, Sequence

from fakesound.errors import InputError, did_you_mean


def one_of(key: str, value: str, choices: Sequence[str]) -> None:
    """Raise `InputError` unless ``value`` is one of ``choices``."""
    if value not in choices:
        near = did_you_mean(str(value), choices)
        hint = f"; {near}" if near else ""
        raise InputError(f"{key}={value}: must be one of {', '.join(choices)}{hint}")


def at_least(key: str, value: float, low: float) -> None:
    """Raise `InputError` unless ``value`` is ``low`` or more."""
    if not value >= low:
        raise InputError(f"{key}={value}: must be at least {low}")


def share(key: str, value: float) -> None:
    """Raise `InputError` unless ``value`` lies between 0 and 1."""
    if not 0 <= value <= 1:
        raise InputError(f"{key}={value}: must be between 0 and 1")


def shares(section: str, values: Mapping[str, float]) -> None:
    """Raise `InputError` unless all ``values`` of a ``section`` lie between 0 and 1."""
    for name, value in values.items():
        share(f"{section}.{name}", value)


def unknown_key(key: str, known: Collection[str]) -> InputError:
    """Return the error for ``key``, whose last part is none of the ``known`` names."""
    near = did_you_mean(key.rpartition(".")[2], known)
    hint = f"{near} " if near else ""
    return InputError(f"{key}: no such key; {hint}there are {', '.join(sorted(known))}")
