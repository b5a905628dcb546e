"""``fakesound VERB ...``: the same as ``python -m fakesound.VERB ...``."""

import importlib
import sys

VERBS = {
    "run": "train with attacks held out, test on them, report",
    "detect": "tell whether recordings are fake, and which parts of them",
    "explain": "show where in time and frequency the evidence lies",
    "evaluate": "measure a detector, or any score file, on labelled clips",
    "listen": "let people judge clips in the browser, and score them as a detector",
    "compare": "put runs, or the settings of a sweep, beside each other",
    "prepare": "make a manifest of a published corpus, a folder or a table",
    "export": "write a trained detector as one ONNX or safetensors file",
    "launch": "do runs and sweeps at Amazon SageMaker",
    "forge": "make labelled fakes of genuine recordings",
}


def main() -> None:
    """Run the verb named first on the command line."""
    verb = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if verb not in VERBS:
        print("fakesound VERB ...   (fakesound VERB --help tells more)\n")
        for name, what in VERBS.items():
            print(f"  {name:8} {what}")
        sys.exit(0 if verb in ("--help", "-h") else 2)
    del sys.argv[1]
    sys.argv[0] = f"fakesound {verb}"
    importlib.import_module(f"fakesound.{verb}").main()


if __name__ == "__main__":
    main()
