"""fakesound: detect and localise deepfake audio made by attacks a model has never seen."""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakesound.inference import Detection, Detector

__all__ = ["Detection", "Detector", "__version__"]
__version__ = "0.1.0"

# For libgomp, which reads it when torch loads it: idle threads of torch's shall not spin for
# milliseconds on the cores that the threads of the scan, or another program, are waiting for.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def __getattr__(name: str) -> Any:  # noqa: ANN401  # whatever the name is of
    # importing the package is quick, and the detector imports torch
    if name in ("Detection", "Detector"):
        return getattr(importlib.import_module("fakesound.inference"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
