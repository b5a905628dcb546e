"""Measurements side by side: kernels, models and training steps, ours and others'."""
