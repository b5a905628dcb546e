"""Recipes: pointers to published fakes and genuine recordings in public repositories, no audio."""

import hashlib
import json
import lzma
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import msgspec

from fakesound.clip import LABELS, Label
from fakesound.errors import InputError, field_error

# entries that permit no use
CLOSED = ("none stated", "all rights reserved")
Text = Annotated[str, msgspec.Meta(min_length=1)]


class Recipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a repository and its labels.

    Attributes:
        repository: OWNER/NAME on GitHub.
        commit: commit that holds the file.
        path: path of the file in the repository.
        label, source_id, attack, domain, license, decoder: as in `Clip`.
        kind: speech, singing, music or sound.
        decoder_model: name of the decoder, such as hifigan.
        decoder_also: classes of closely related decoders.
        year: year of publication.
        twin: path of the recording that a fake was made from, aligned in time.
        regions: fake spans in seconds; None for a fake throughout.
        content_key: key shared by copies of one recording on several pages.
        split_group: key shared by pages with common speakers or recordings.
    """

    repository: Text
    commit: Text
    path: Text
    label: Label
    source_id: Text
    domain: Text
    kind: Text
    license: Text
    attack: str | None = None
    decoder: str | None = None
    decoder_model: str | None = None
    decoder_also: tuple[str, ...] = ()
    year: int | None = None
    twin: str | None = None
    regions: tuple[tuple[float, float], ...] | None = None
    content_key: str | None = None
    split_group: str | None = None

    @property
    def clip_id(self) -> str:
        """Identity of the clip, the same wherever it is prepared."""
        return identity(self.repository, self.path)

    @property
    def is_open(self) -> bool:
        """Whether the repository states a licence that permits use."""
        return self.license not in CLOSED


def identity(repository: str, path: str) -> str:
    """Return the clip id of a file."""
    return hashlib.sha1(f"{repository}:{path}".encode(), usedforsecurity=False).hexdigest()[:12]


def read_recipes(path: Path | None = None) -> list[Recipe]:
    """Return the recipes of a JSON Lines file, by default those of the package.

    Raises:
        InputError: for the first error, naming the file, row and key.
    """
    if path is None:
        packed = files("fakesound.corpora.public_generators") / "recipes.jsonl.xz"
        lines = lzma.decompress(packed.read_bytes()).decode().splitlines()
        return list(_parsed(lines, packed.name))
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"recipes={path}: cannot be read ({error}); name a JSON Lines file"
        ) from None
    return list(_parsed(lines, f"recipes={path}"))


def _parsed(lines: list[str], name: str) -> Iterator[Recipe]:
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        where = f"{name} row {number}"
        try:
            row = json.loads(line)
            recipe = msgspec.convert(row, Recipe)
        except json.JSONDecodeError:
            raise InputError(f"{where}: not JSON; write one object per line") from None
        except msgspec.ValidationError as error:
            fields = row if isinstance(row, dict) else {}
            raise InputError(f"{where}, {field_error(error, fields, {'label': LABELS})}") from None
        if (recipe.label == "fake") != bool(recipe.attack and recipe.decoder):
            raise InputError(f"{where}, attack, decoder: fakes need both, genuine clips have none")
        if recipe.clip_id in seen:
            raise InputError(f"{where}, path: {recipe.path} already has a row; remove one")
        seen.add(recipe.clip_id)
        yield recipe
