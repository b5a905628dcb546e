"""Train, test and report a detector from a configuration."""
