"""What values may be; a wrong one is told with its key."""

from fakesound.errors import InputError


def one_of(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `InputError` unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise InputError(f"{key}={value}: must be one of {', '.join(choices)}")


def at_least(key: str, value: float, low: float) -> None:
    """Raise `InputError` unless ``value`` is ``low`` or more."""
    if not value >= low:
        raise InputError(f"{key}={value}: must be at least {low}")


def share(key: str, value: float) -> None:
    """Raise `InputError` unless ``value`` lies between 0 and 1."""
    if not 0 <= value <= 1:
        raise InputError(f"{key}={value}: must be between 0 and 1")
