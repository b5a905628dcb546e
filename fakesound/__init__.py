"""fakesound: detect and localise deepfake audio made by attacks a model has never seen."""

__version__ = "0.1.0"
