"""``fakesound VERB ...``: the same as ``python -m fakesound.VERB ...``."""

import importlib
import sys

from fakesound.command_line import WRONG_INPUT

VERBS = {
    "run": "train with attacks held out, test on them, report",
    "detect": "detect fake recordings and locate the fake parts",
    "explain": "show where in time and frequency the evidence lies",
    "evaluate": "measure a detector, or any score file, on labelled clips",
    "listen": "run a listening test in the browser and evaluate its answers",
    "compare": "compare runs, or the settings of a sweep",
    "prepare": "make a manifest of a published corpus, a folder or a table",
    "export": "write a trained detector as one ONNX or safetensors file",
    "launch": "run training jobs and sweeps at Amazon SageMaker",
    "forge": "make labelled fakes of genuine recordings",
}


def main() -> None:
    """Run the verb named first on the command line."""
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb in ("--help", "-h"):
        print("fakesound VERB ...   (fakesound VERB --help shows the options)\n")
        for name, what in VERBS.items():
            print(f"  {name:8} {what}")
        return
    if verb not in VERBS:
        sys.stderr.write(f"error: {verb}: no such verb; there are {', '.join(VERBS)}\n")
        sys.exit(WRONG_INPUT)
    del sys.argv[1]
    sys.argv[0] = f"fakesound {verb}"
    importlib.import_module(f"fakesound.{verb}").main()


if __name__ == "__main__":
    main()
