"""fakesound: detect and localise deepfake audio made by attacks a model has never seen."""

import os

__version__ = "0.1.0"

# For libgomp, which reads it when torch loads it: idle threads of torch's shall not spin for
# milliseconds on the cores that the threads of the scan, or another program, are waiting for.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
