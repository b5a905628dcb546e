"""Runs on Amazon SageMaker: settings, requests and the entry point of the container."""
