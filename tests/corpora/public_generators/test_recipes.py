"""Recipes of the package and of a user."""

import json
from collections import Counter

import pytest

from fakesound.corpora.public_generators.recipes import read_recipes
from fakesound.errors import InputError

from .conftest import row


def test_the_package_has_recipes_for_many_generators():
    recipes = read_recipes()
    assert len(recipes) > 11_000
    assert len({recipe.repository for recipe in recipes}) == 154
    fakes = [recipe for recipe in recipes if recipe.label == "fake"]
    assert len({recipe.attack for recipe in fakes}) > 500
    assert len({recipe.decoder for recipe in fakes}) > 10
    assert all(len(recipe.commit) == 40 for recipe in recipes)
    by_path = {(recipe.repository, recipe.path): recipe for recipe in recipes}
    for recipe in fakes:
        if recipe.twin is not None:
            twin = by_path[recipe.repository, recipe.twin]
            assert twin.label == "genuine"
            assert twin.source_id == recipe.source_id
    stated = Counter(recipe.is_open for recipe in recipes)
    assert min(stated.values()) > 1_000


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"label": "real"}, "label"),
        ({"label": "fake"}, "attack"),
        ({"path": ""}, "path"),
        ({"commit": None}, "commit"),
        ({"size": 3}, "size"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, change, named):
    path = tmp_path / "recipes.jsonl"
    rows = [row("a/b", "0" * 40, "x.wav"), row("a/b", "0" * 40, "y.wav") | change]
    path.write_text("".join(json.dumps(line) + "\n" for line in rows))
    with pytest.raises(InputError, match=rf"row 2, {named}"):
        read_recipes(path)


def test_a_repeated_file_is_named(tmp_path):
    path = tmp_path / "recipes.jsonl"
    path.write_text((json.dumps(row("a/b", "0" * 40, "x.wav")) + "\n") * 2)
    with pytest.raises(InputError, match="row 2, path"):
        read_recipes(path)


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"[1]\n", b"no\n"])
def test_a_file_without_recipes_is_named(tmp_path, content):
    path = tmp_path / "recipes.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="recipes"):
        read_recipes(path)
