"""Recordings and weights of neural attacks, from which fakesound makes its training data."""
