"""A trained detector for recordings of any kind and length."""

from fakesound.inference.detection import Detection, Detections
from fakesound.inference.detector import Detector
from fakesound.scoring.decision import FakeRegion

__all__ = ["Detection", "Detections", "Detector", "FakeRegion"]
