"""Evaluate a detector on labelled clips, from its scores or from its checkpoint."""
