"""Errors that entry points print in one line, without a traceback."""

import difflib
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

_AT = re.compile(r"(.*) - at `\$\.(\w+).*`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(\w+)`")
_MISSING = re.compile(r"Object missing required field `(\w+)`")


class InputError(ValueError):
    """The user's input or configuration is wrong.

    The message is one line that names the key or file, the value and the fix. Entry points exit
    with code 2.
    """


class OutsideError(RuntimeError):
    """Something that the program needs has failed, such as a process that was killed.

    The message is one line that names it and how to continue. Entry points exit with code 1.
    """


class ProcessError(RuntimeError):
    """A process that this one started has failed, and has printed the reason if it could.

    Args:
        message: reason that the process could not print itself.
        code: exit code.
    """

    def __init__(self, message: str | None, code: int) -> None:
        super().__init__(message or f"a process of the run ended with exit code {code}")
        self.message, self.code = message, code


def unicode_name(path: str) -> str:
    r"""Return the name of a file with bytes that are not UTF-8 written as ``\xe9``."""
    return "".join(
        f"\\x{ord(letter) - 0xDC00:02x}" if 0xDC80 <= ord(letter) <= 0xDCFF else letter
        for letter in path
    )


def shown(text: str) -> str:
    """Return ``text`` on one line: characters that do not print are escaped."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in unicode_name(text)
    )


def did_you_mean(word: str, known: Iterable[str], before: str = "", after: str = "") -> str:
    """Return the question whether ``word`` was meant as the nearest of ``known``; else nothing.

    ``before`` and ``after`` are put around the question.
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"{before}did you mean {near[0]}?{after}" if near else ""


def field_error(
    error: Exception, row: Mapping[str, object], choices: Mapping[str, Sequence[str]]
) -> str:
    """Return an error of a msgspec schema as one line: the field, its value, what is expected.

    Args:
        error: `msgspec.ValidationError`.
        row: Object that was validated.
        choices: Allowed values of the fields that have few.
    """
    text = str(error)
    if match := _MISSING.fullmatch(text):
        return f"{match[1]}: missing; every row needs it"
    if match := _UNKNOWN.fullmatch(text):
        return f"{match[1]}: no such key"
    match = _AT.fullmatch(text)
    if match is None:
        return text
    what, field = match.groups()
    if what.startswith("Invalid enum"):
        what = f"must be one of {', '.join(choices[field])}"
    value = textwrap.shorten(repr(row[field]), 80, placeholder="...")
    return f"{field}: {value}; {what[0].lower()}{what[1:]}"
