"""The one error that is the user's to mend."""


class InputError(ValueError):
    """The user's input or configuration is wrong.

    The message is one line that names the key or file, the value and the mend. Entry points print
    it without a traceback and exit with code 2.
    """
