"""Runs on machines of others: what is asked of Amazon SageMaker, and what its container does."""
