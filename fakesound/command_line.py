"""Command lines of the verbs: parser, errors in one line, exit codes."""

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from fakesound.errors import InputError, OutsideError, ProcessError, shown

FAILED, WRONG_INPUT = 1, 2
# errors of a write: no space left, over the quota, over the largest size of a file
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Parser(argparse.ArgumentParser):
    """Parser whose errors are one line, like those of `guarded`."""

    def error(self, message: str) -> NoReturn:
        """Print ``message`` with a pointer to the help and exit with code 2."""
        self.exit(WRONG_INPUT, f"error: {message}; see {self.prog} --help\n")


def parser(verb: str, description: str, examples: str = "") -> Parser:
    """Return the parser of a verb, named as the user called it.

    Args:
        verb: name of the verb, as in ``python -m fakesound.VERB``.
        description: text above the options.
        examples: text below the options.
    """
    called = sys.argv[0].startswith("fakesound")
    return Parser(
        prog=f"fakesound {verb}" if called else f"python -m fakesound.{verb}",
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def guarded(entry: Callable[[], object]) -> NoReturn:
    """Run ``entry`` and exit: 0 done, 2 wrong input or configuration, 1 anything else.

    Wrong input, a full disk and a killed process give one line on stderr; ``--debug`` or
    ``HYDRA_FULL_ERROR=1`` adds the traceback.
    """
    debug = "--debug" in sys.argv or os.environ.get("HYDRA_FULL_ERROR") == "1"
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        entry()
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
            f"{where}cannot be written ({error.strerror}); finished work is kept: free some space "
            "and start again, a run with resume=auto",
            debug,
        )
        sys.exit(FAILED)
    sys.exit(0)


def _print_error(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"error: {shown(message)}", file=sys.stderr)
