"""What all entry points share: one line for what users can mend, and the exit codes."""

import errno
import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from fakesound.errors import InputError, OutsideError, ProcessError

FAILED, WRONG_INPUT = 1, 2
# of a write: no space left, over the quota, over the size that files may have
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def guarded(entry: Callable[[], object]) -> NoReturn:
    """Run ``entry`` and exit: 0 done, 2 wrong input or configuration, 1 anything else.

    Wrong input, a full disk and a killed process are said in one line; ``--debug`` or
    ``HYDRA_FULL_ERROR=1`` shows where it arose.
    """
    debug = "--debug" in sys.argv or os.environ.get("HYDRA_FULL_ERROR") == "1"
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    try:
        entry()
    except (InputError, OutsideError) as error:
        _tell(str(error), debug)
        sys.exit(WRONG_INPUT if isinstance(error, InputError) else FAILED)
    except ProcessError as error:
        if error.message is not None:
            _tell(error.message, debug)
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit("stopped")
    except OSError as error:
        if error.errno not in FULL:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _tell(
            f"{where}cannot be written ({error.strerror}); what was finished is kept: make room "
            "and start again, a run with resume=auto",
            debug,
        )
        sys.exit(FAILED)
    sys.exit(0)


def _tell(message: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    print(f"error: {message}", file=sys.stderr)
