"""Detect fakes in recordings of any format and length."""

from fakesound.inference.detection import Detection, Detections
from fakesound.inference.detector import Detector
from fakesound.scoring.decision import FakeRegion

__all__ = ["Detection", "Detections", "Detector", "FakeRegion"]
