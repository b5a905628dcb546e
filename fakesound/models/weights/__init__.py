"""Initial weights from Vim, AuM, the original project or an earlier run.

`read_weights` reads a file without running code in it. `fit_weights` converts it to the names,
shapes and token order of a detector, and reports the status of every tensor.
"""

from fakesound.models.weights.fit import InitialWeights, fit_weights
from fakesound.models.weights.read import read_weights

__all__ = ["InitialWeights", "fit_weights", "read_weights"]
