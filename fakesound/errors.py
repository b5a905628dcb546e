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
