"""Timing scripts, not installed: ``python -m benchmarks.scan|model|train|backbones|data``."""
