"""Guides work: each is followed in a copy of the checkout."""

import pytest

from tests.docs.guide import ROOT, blocks, checkout, follow, patched

FOLLOWED = ("sh", "python")
GUIDES = [
    path
    for path in sorted((ROOT / "docs").glob("*.md"))
    if any(block.language in FOLLOWED for block in blocks(path))
]
# half a minute and more each
LONG = ("fakesound run", "fakesound evaluate", "fakesound export", "onnxruntime")

each = pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)


@each
def test_examples_of_guides_run(guide, tmp_path):
    follow(guide, checkout(tmp_path), passed_over=LONG)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@each
def test_commands_of_guides_run(guide, tmp_path):
    if not any(word in block.text for block in blocks(guide) for word in LONG):
        pytest.skip("has none")
    follow(guide, checkout(tmp_path))


def test_a_change_must_fit_one_place():
    assert patched("a\nb\nc\n", "@@\n a\n-b\n+B\n") == "a\nB\nc\n"
    for wrong in ("@@\n-d\n+e\n", "@@\n-\n"):
        with pytest.raises(AssertionError, match="fits"):
            patched("a\n\n\n", wrong)
