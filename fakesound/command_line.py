"""Command line of the verbs: parser, one-line errors, results on stdout, exit codes."""

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, NoReturn

from fakesound.errors import InputError, OutsideError, ProcessError, did_you_mean, shown

if TYPE_CHECKING:
    from rich.table import Table

VERBS = {
    "run": "train with attacks held out, test on them, report",
    "detect": "detect fake recordings and locate the fake parts",
    "serve": "serve a local web page for detection, and POST /detect",
    "explain": "show which parts of time and frequency change the score",
    "evaluate": "evaluate a detector, or any score file, on labelled clips",
    "listen": "run a listening test in the browser and evaluate its answers",
    "compare": "compare runs, or the settings of a sweep",
    "prepare": "create the manifest of a published corpus, a folder or a table",
    "export": "export a trained detector as one ONNX or safetensors file",
    "sync": "upload offline W&B runs",
    "launch": "run training jobs and sweeps on Amazon SageMaker",
    "forge": "create labelled fakes from genuine recordings",
    "completion": "print a script for the completion of a shell",
}
FAILED, WRONG_INPUT = 1, 2
# code of a shell for a program that SIGPIPE ended
CLOSED_PIPE = 128 + 13
# errors of a write: no space left, quota exceeded, file too large
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Parser(argparse.ArgumentParser):
    """Argument parser with one-line errors, like those of `guarded`.

    Attributes:
        needs_arguments: whether a call without arguments prints a short help and fails.
    """

    needs_arguments = True

    def error(self, message: str) -> NoReturn:
        """Print ``message`` with a pointer to the help and exit with code 2."""
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            word = unknown.split()[0].partition("=")[0]
            message += did_you_mean(word, self._option_string_actions, before="; ")
        self.exit(WRONG_INPUT, f"error: {message}; see {self.prog} --help\n")

    def parse_args(  # type: ignore[override]  # overloaded there
        self,
        args: Sequence[str] | None = None,
        namespace: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Parse the command line; without arguments print a short help and exit with code 2."""
        self._need_arguments(args)
        return super().parse_args(args, namespace)

    def parse_intermixed_args(  # type: ignore[override]  # overloaded there
        self,
        args: Sequence[str] | None = None,
        namespace: Any = None,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Parse the command line like `parse_args`, with options between positional arguments."""
        self._need_arguments(args)
        return super().parse_intermixed_args(args, namespace)

    def _need_arguments(self, args: Sequence[str] | None) -> None:
        if not self.needs_arguments or (sys.argv[1:] if args is None else args):
            return
        self.print_usage(sys.stderr)
        # the first paragraph of each
        texts = [
            (text or "").partition("\n\n")[0].rstrip() for text in (self.description, self.epilog)
        ]
        end = f"all options: {self.prog} --help"
        self.exit(WRONG_INPUT, "\n" + "\n\n".join([*filter(None, texts), end]) + "\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # noqa: ANN401
        if action.choices is None or value in action.choices:
            return
        hint = did_you_mean(str(value), map(str, action.choices), before="; ")
        choices = ", ".join(map(str, action.choices))
        raise argparse.ArgumentError(action, f"{value!r} is not one of {choices}{hint}")


def parser(verb: str, description: str, examples: str = "") -> Parser:
    """Return the parser of a verb.

    Args:
        verb: name of the verb, as in ``fakesound VERB``.
        description: text above the options.
        examples: text below the options.
    """
    return Parser(
        prog=command_name(verb),
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_detector(parser: Parser) -> None:
    """Add the options for the detector and for the confidence of verdicts."""
    parser.add_argument("--checkpoint", default="default", metavar="PATH", help="your own detector")
    parser.add_argument(
        "--confidence",
        type=float,
        default=0.6,
        help='probability below which a verdict is "uncertain" (0.6)',
    )


def check_least(options: argparse.Namespace, **bounds: float) -> None:
    """Raise `InputError` unless each option is at least its bound, or absent."""
    for name, bound in bounds.items():
        value = getattr(options, name)
        if value is not None and not value >= bound:
            raise InputError(f"--{name.replace('_', '-')}={value}: must be at least {bound}")


def command_name(verb: str) -> str:
    """Return the command of a verb as the user called it."""
    by_name = sys.argv[0].startswith("fakesound")
    return f"fakesound {verb}" if by_name else f"python -m fakesound.{verb}"


def print_results(table: "Table") -> None:
    """Print a table of results on stdout, as tab-separated values if it is not a terminal."""
    from rich.console import Console
    from rich.text import Text

    if sys.stdout.isatty():
        Console().print(table)
        return
    columns = table.columns
    cells = [[column.header, *column.cells] for column in columns]
    for row in zip(*cells, strict=True):
        plain = (
            cell.plain if isinstance(cell, Text) else Text.from_markup(str(cell)).plain
            for cell in row
        )
        print("\t".join(" ".join(text.split()) for text in plain))


def guarded(entry: Callable[[], object], again: str = "") -> NoReturn:
    """Run ``entry`` and exit with 0 if done, 2 for wrong input or configuration, else 1.

    The exit code is 141 if the reader of stdout closes the pipe, as of other programs in a shell.

    Wrong input, a full disk and a killed process print one line on stderr; ``--debug`` or
    ``HYDRA_FULL_ERROR=1`` adds the traceback.

    Args:
        entry: function to run.
        again: words that complete "run the command again" after a full disk.
    """
    debug = "--debug" in sys.argv or os.environ.get("HYDRA_FULL_ERROR") == "1"
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    if sys.stdout is None:
        # the caller has closed it
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
    try:
        entry()
        sys.stdout.flush()
    except (InputError, OutsideError) as error:
        _print_error(str(error), debug)
        sys.exit(WRONG_INPUT if isinstance(error, InputError) else FAILED)
    except ProcessError as error:
        if error.message is not None:
            _print_error(error.message, debug)
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit("stopped")
    except BrokenPipeError:
        # the reader has closed the pipe; the remaining buffer must not be written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED_PIPE)
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _print_error(
            f"{where}cannot be written ({error.strerror}); free some space and run the "
            f"command again{again}",
            debug,
        )
        sys.exit(FAILED)
    sys.exit(0)


def entry_point(function: Callable[[], object]) -> Callable[[], NoReturn]:
    """Decorate the main function of a verb, so that `guarded` runs it."""
    return wraps(function)(lambda: guarded(function))


def _print_error(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"error: {shown(message)}", file=sys.stderr)
