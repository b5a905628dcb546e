"""A trained detector, and the scores of clips from its outputs."""
