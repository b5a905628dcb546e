"""One run: from a configuration to a trained, tested and reported detector."""
