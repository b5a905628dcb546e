"""Errors that entry points print in one line, without a traceback."""


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
