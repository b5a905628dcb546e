"""``fakesound VERB ...``: the same as ``python -m fakesound.VERB ...``."""

import importlib
import platform
import sys
from importlib import metadata

from fakesound.command_line import VERBS, WRONG_INPUT, guarded
from fakesound.errors import did_you_mean
from fakesound.provenance import software_version

# packages on which scores depend
PACKAGES = ("onnxruntime", "torch", "numpy")


def main() -> None:
    """Run the verb named first on the command line."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["help"]:
        # help VERB
        arguments = [*arguments[1:2], "--help"]
    verb = arguments[0] if arguments else ""
    if verb in ("--help", "-h"):
        guarded(lambda: print(_help()))
    if verb in ("--version", "-V"):
        guarded(lambda: print(_version()))
    if not verb:
        sys.stderr.write(_help() + "\n")
        sys.exit(WRONG_INPUT)
    if verb not in VERBS:
        hint = did_you_mean(verb, VERBS, after=" ")
        sys.stderr.write(f"error: {verb}: no such verb; {hint}there are {', '.join(VERBS)}\n")
        sys.exit(WRONG_INPUT)
    sys.argv = [f"fakesound {verb}", *arguments[1:]]
    importlib.import_module(f"fakesound.{verb}").main()


def _help() -> str:
    lines = [f"  {name:10} {what}" for name, what in VERBS.items()]
    usage = "fakesound VERB ...   (fakesound VERB --help shows the options)"
    return "\n".join([usage, "", *lines])


def _version() -> str:
    parts = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            parts.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            parts.append(f"no {package}")
    return f"fakesound {software_version()} ({', '.join(parts)})"


if __name__ == "__main__":
    main()
