"""Export a trained detector as one ONNX file, for whole recordings or for windows."""

from fakesound.exporting.check import (
    DifferenceError,
    largest_difference,
    largest_window_difference,
)
from fakesound.exporting.onnx_file import onnx_bytes, window_onnx_bytes
from fakesound.exporting.scorer import Scores, WaveformScorer, WindowScorer

__all__ = [
    "DifferenceError",
    "Scores",
    "WaveformScorer",
    "WindowScorer",
    "largest_difference",
    "largest_window_difference",
    "onnx_bytes",
    "window_onnx_bytes",
]
