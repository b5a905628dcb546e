"""The errors that are said in one line, without a traceback."""


class InputError(ValueError):
    """The user's input or configuration is wrong.

    The message is one line that names the key or file, the value and the mend. Entry points print
    it without a traceback and exit with code 2.
    """


class OutsideError(RuntimeError):
    """Something that the program needs gave way under it, such as a process that was killed.

    The message is one line that says what, and how to go on. Entry points print it without a
    traceback and exit with code 1.
    """


class ProcessError(RuntimeError):
    """A process that this one started has failed, and has said why if it could.

    Args:
        message: what it could not say itself.
        code: to exit with.
    """

    def __init__(self, message: str | None, code: int) -> None:
        super().__init__(message or f"a process of the run ended with exit code {code}")
        self.message, self.code = message, code
