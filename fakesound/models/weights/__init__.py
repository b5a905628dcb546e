"""Starting from weights of others: Vim, AuM, the original project's, and earlier runs of ours.

`read_weights` reads a file without running what it holds, `fit_weights` brings it to the names,
shapes and token order of a detector and accounts for every tensor on both sides.
"""

from fakesound.models.weights.fit import InitialWeights, fit_weights
from fakesound.models.weights.read import WeightsFile, read_weights
from fakesound.models.weights.report import Fate, LoadReport

__all__ = ["Fate", "InitialWeights", "LoadReport", "WeightsFile", "fit_weights", "read_weights"]
