"""A trained detector as one ONNX file: waveform in, scores of the clip and its frames out."""

from fakesound.exporting.check import DifferenceError, largest_difference
from fakesound.exporting.onnx_file import onnx_bytes
from fakesound.exporting.scorer import Scores, WaveformScorer

__all__ = ["DifferenceError", "Scores", "WaveformScorer", "largest_difference", "onnx_bytes"]
