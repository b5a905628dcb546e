"""fakesound: detect and localise deepfake audio made by attacks a model has never seen."""

import importlib as _importlib
import os as _os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakesound.inference import Detection, Detections, Detector

    __version__: str

__all__ = ["Detection", "Detections", "Detector", "__version__"]

# Read by libgomp when torch is loaded: idle threads of torch must not spin for milliseconds on
# cores that the threads of the scan, or another program, need.
_os.environ.setdefault("GOMP_SPINCOUNT", "1000")
# Without this, set before it is loaded, onnxruntime sends usage data to Microsoft.
_os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    if name == "__version__":
        # in a clone, this runs git
        return _importlib.import_module("fakesound.provenance").software_version()
    # imported on first use, because the detector is slow to import
    if name in ("Detection", "Detections", "Detector"):
        return getattr(_importlib.import_module("fakesound.inference"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
