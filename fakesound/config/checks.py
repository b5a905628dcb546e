"""Check values of the configuration; the error names the key."""

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from numbers import Real

from fakesound.errors import InputError, did_you_mean


def one_of(key: str, value: str, choices: Sequence[str]) -> None:
    """Raise `InputError` unless ``value`` is one of ``choices``."""
    if value not in choices:
        hint = did_you_mean(str(value), choices, before="; ")
        raise InputError(f"{key}={value}: must be one of {', '.join(choices)}{hint}")


def match_globs(
    key: str, patterns: Iterable[str], names: Iterable[str], kind: str, hint: str = ""
) -> list[str]:
    """Return those of ``names`` that a name or glob in ``patterns`` matches, in their order.

    Args:
        key: key that holds the patterns.
        patterns: names or globs.
        names: all names.
        kind: kind of thing that has these names, for the error.
        hint: fix of a pattern without a match; by default a list of all names.

    Raises:
        InputError: naming ``key``, if a pattern matches none.
    """
    names, chosen = list(names), set[str]()
    for pattern in patterns:
        matches = [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            known = hint or f"there are {', '.join(names)}"
            raise InputError(f"{key}={pattern}: no such {kind}; {known}")
        chosen.update(matches)
    return [name for name in names if name in chosen]


def is_number(value: object) -> bool:
    """Return whether ``value`` is a real number of Python or numpy."""
    return isinstance(value, Real)


def at_least(key: str, value: float, low: float) -> None:
    """Raise `InputError` unless ``value`` is ``low`` or more."""
    if not value >= low:
        raise InputError(f"{key}={value}: must be at least {low}")


def check_choices(section: str, config: object, **choices: Sequence[str]) -> None:
    """Raise `InputError` unless each key of a ``section`` has one of its choices."""
    for name, allowed in choices.items():
        one_of(f"{section}.{name}".lstrip("."), getattr(config, name), allowed)


def check_least(section: str, config: object, **bounds: float) -> None:
    """Raise `InputError` unless each key of a ``section`` is at least its bound, or null.

    Args:
        section: name of the section; empty for the run itself.
        config: values of the section.
        bounds: lowest value of each key.
    """
    for name, low in bounds.items():
        if (value := getattr(config, name)) is not None:
            at_least(f"{section}.{name}".lstrip("."), value, low)


def check_shares(section: str, config: object, *names: str) -> None:
    """Raise `InputError` unless the keys of a ``section``, by default all, are 0 to 1 or null."""
    for name in names or vars(config):
        value = getattr(config, name)
        if value is not None and not 0 <= value <= 1:
            raise InputError(f"{section}.{name}={value}: must be between 0 and 1")


def unknown_key(key: str, known: Collection[str]) -> InputError:
    """Return the error for ``key``, whose last part is not one of the ``known`` names."""
    hint = did_you_mean(key.rpartition(".")[2], known, after=" ")
    return InputError(f"{key}: no such key; {hint}there are {', '.join(sorted(known))}")
