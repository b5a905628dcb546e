"""Runs at Amazon SageMaker: settings, requests, and the entry point of the container."""
