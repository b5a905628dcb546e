"""A trained detector at work on recordings of any kind and length."""

from fakesound.inference.detection import Detection, FakeRegion, FrameScores
from fakesound.inference.detector import Detector
from fakesound.inference.listening import Listening

__all__ = ["Detection", "Detector", "FakeRegion", "FrameScores", "Listening"]
