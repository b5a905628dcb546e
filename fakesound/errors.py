"""Errors that entry points print as one line without traceback, and helpers for messages."""

import difflib
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence

# characters that stand for bytes of a file name that are not UTF-8
_NOT_UTF8 = re.compile("[\udc80-\udcff]")
_AT = re.compile(r"(.*) - at `\$\.(\w+).*`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(\w+)`")
_MISSING = re.compile(r"Object missing required field `(\w+)`")


class InputError(ValueError):
    """Wrong input or configuration.

    The message is one line that names the key or file, the value and the fix. The exit code is 2.
    """


class OutsideError(RuntimeError):
    """Failure outside the program, such as a killed process.

    The message is one line that names the failure and how to continue. The exit code is 1.
    """


class ProcessError(RuntimeError):
    """Failure of a child process, which has printed the reason if it could.

    Args:
        message: reason, if the process could not print it.
        code: exit code.
    """

    def __init__(self, message: str | None, code: int) -> None:
        super().__init__(message or f"a process of the run ended with exit code {code}")
        self.message, self.code = message, code


def unicode_name(path: str, escape: str = "\\x") -> str:
    r"""Return the name of a file with bytes that are not UTF-8 written as ``\xe9``."""
    return _NOT_UTF8.sub(lambda byte: f"{escape}{ord(byte[0]) - 0xDC00:02x}", path)


def shown(text: str) -> str:
    """Return ``text`` with unprintable characters escaped, so that it is one line."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in unicode_name(text)
    )


def did_you_mean(word: str, known: Iterable[str], before: str = "", after: str = "") -> str:
    """Return "did you mean ...?" for the known word most similar to ``word``; else an empty text.

    ``before`` and ``after`` enclose the question.
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"{before}did you mean {near[0]}?{after}" if near else ""


def field_error(
    error: Exception, row: Mapping[str, object], choices: Mapping[str, Sequence[str]]
) -> str:
    """Return a validation error of msgspec as one line: the field, its value, what is expected.

    Args:
        error: `msgspec.ValidationError`.
        row: object that was validated.
        choices: allowed values of enumerated fields.
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
