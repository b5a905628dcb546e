"""How a detector is held against the truth, from scores or from a model."""
