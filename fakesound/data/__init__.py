"""Clips on disk and in batches: manifests, decoding, splits, training crops and datasets."""
