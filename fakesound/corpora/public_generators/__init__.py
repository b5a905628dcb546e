"""Published generators with their genuine originals, from public repositories.

The package holds recipes: pointers to files, no audio. See `read_recipes`.
"""

from fakesound.corpora.public_generators.collect import fetch
from fakesound.corpora.public_generators.combine import combine
from fakesound.corpora.public_generators.recipes import read_recipes
from fakesound.corpora.public_generators.splices import splice_fakes
from fakesound.corpora.public_generators.summary import print_summary, with_audit

__all__ = ["combine", "fetch", "print_summary", "read_recipes", "splice_fakes", "with_audit"]
