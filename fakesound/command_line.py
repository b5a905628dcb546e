"""Command lines of the verbs: parser, errors in one line, results on stdout, exit codes."""

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from fakesound.errors import InputError, OutsideError, ProcessError, did_you_mean, shown

if TYPE_CHECKING:
    from rich.table import Table

FAILED, WRONG_INPUT = 1, 2
# errors of a write: no space left, over the quota, over the largest size of a file
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Parser(argparse.ArgumentParser):
    """Parser whose errors are one line, like those of `guarded`.

    Attributes:
        needs_arguments: whether a call without arguments prints a short help.
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
        """Parse the command line as `parse_args`, options between positional arguments."""
        self._need_arguments(args)
        return super().parse_intermixed_args(args, namespace)

    def _need_arguments(self, args: Sequence[str] | None) -> None:
        if not self.needs_arguments or (sys.argv[1:] if args is None else args):
            return
        self.print_usage(sys.stderr)
        text = [(self.description or "").partition("\n\n")[0], (self.epilog or "").rstrip()]
        end = f"all options: {self.prog} --help"
        self.exit(WRONG_INPUT, "\n".join(["", *(t for t in text if t), "", end, ""]))

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # noqa: ANN401
        if action.choices is None or value in action.choices:
            return
        hint = did_you_mean(str(value), map(str, action.choices), before="; ")
        choices = ", ".join(map(str, action.choices))
        raise argparse.ArgumentError(action, f"{value!r} is not one of {choices}{hint}")


def parser(verb: str, description: str, examples: str = "") -> Parser:
    """Return the parser of a verb, named as the user called it.

    Args:
        verb: name of the verb, as in ``fakesound VERB``.
        description: text above the options.
        examples: text below the options.
    """
    return Parser(
        prog=called(verb),
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_detector(parser: Parser) -> None:
    """Add the options that choose a detector and how certain a verdict must be."""
    parser.add_argument(
        "--checkpoint", default="default", metavar="PATH", help="a detector of your own"
    )
    parser.add_argument(
        "--confidence",
        type=float,
        default=0.6,
        help="lowest probability of a certain verdict (0.6)",
    )


def called(verb: str) -> str:
    """Return the command of a verb as the user called it."""
    by_name = sys.argv[0].startswith("fakesound")
    return f"fakesound {verb}" if by_name else f"python -m fakesound.{verb}"


def print_results(table: "Table") -> None:
    """Print a table of results on stdout: as it is on a terminal, else tab-separated."""
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


def guarded(entry: Callable[[], object]) -> NoReturn:
    """Run ``entry`` and exit: 0 done, 2 wrong input or configuration, 1 anything else.

    Wrong input, a full disk and a killed process give one line on stderr; ``--debug`` or
    ``HYDRA_FULL_ERROR=1`` adds the traceback.
    """
    debug = "--debug" in sys.argv or os.environ.get("HYDRA_FULL_ERROR") == "1"
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    if sys.stdout is None:
        # the caller closed it
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
        # the reader of the output has gone; what is buffered must not be written at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _print_error(
            f"{where}cannot be written ({error.strerror}); free some space and run the "
            "command again, `fakesound run` with resume=auto",
            debug,
        )
        sys.exit(FAILED)
    sys.exit(0)


def _print_error(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"error: {shown(message)}", file=sys.stderr)
