"""Clips on disk and in batches: manifests, decoding, splits, regions cut on the fly, datasets."""
