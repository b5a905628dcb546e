"""Published generators with their genuine originals, from public repositories.

The package holds recipes, which point to files, and no audio; see `read_recipes`.
"""

from fakesound.corpora.public_generators.prepare import prepare_generators
from fakesound.corpora.public_generators.recipes import read_recipes
from fakesound.corpora.public_generators.summary import print_summary

__all__ = ["prepare_generators", "print_summary", "read_recipes"]
