"""Load a trained detector and turn its outputs into scores and verdicts."""
