"""What all entry points share: one line for the user's mistakes, and the exit codes."""

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from fakesound.errors import InputError, ProcessError

WRONG_INPUT = 2


def guarded(entry: Callable[[], object]) -> NoReturn:
    """Run ``entry`` and exit: 0 done, 2 wrong input or configuration, 1 anything else.

    Wrong input is said in one line; ``--debug`` or ``HYDRA_FULL_ERROR=1`` shows where it arose.
    """
    debug = "--debug" in sys.argv or os.environ.get("HYDRA_FULL_ERROR") == "1"
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        entry()
    except InputError as error:
        if debug:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        sys.exit(WRONG_INPUT)
    except ProcessError as error:
        if error.message is not None:
            print(f"error: {error.message}", file=sys.stderr)
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit("stopped")
    sys.exit(0)
