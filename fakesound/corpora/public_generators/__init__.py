"""Published generators with their genuine originals, from public repositories."""
