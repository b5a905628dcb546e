"""Published generators with their genuine originals, from public repositories.

The package holds recipes, which point to files, and no audio; see `read_recipes`.
"""

from fakesound.corpora.public_generators.prepare import prepare_generators, print_summary
from fakesound.corpora.public_generators.recipes import read_recipes

__all__ = ["prepare_generators", "print_summary", "read_recipes"]
