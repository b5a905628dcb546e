"""fakesound: detect and localise deepfake audio made by attacks a model has never seen."""

import os

# threads that have nothing to do sleep, so that other work on the machine does not stall a run;
# read when torch is first imported
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
