"""fakesound: detect and localise deepfake audio made by attacks a model has never seen."""

import importlib as _importlib
import os as _os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakesound.inference import Detection, Detections, Detector

__all__ = ["Detection", "Detections", "Detector", "__version__"]
__version__ = "0.1.0"

# For libgomp, which reads it when torch loads it: idle threads of torch's shall not spin for
# milliseconds on the cores that the threads of the scan, or another program, are waiting for.
_os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# onnxruntime sends usage data to Microsoft unless this is set before it is loaded. Nothing of this
# package leaves the machine.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    # importing the package is quick, that of the detector takes longer
    if name in ("Detection", "Detections", "Detector"):
        return getattr(_importlib.import_module("fakesound.inference"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
