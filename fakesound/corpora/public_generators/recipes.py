"""Recipes: pointers to published fakes and genuine recordings in public repositories, no audio."""

import hashlib
import json
import lzma
from collections.abc import Iterator
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from fakesound.errors import InputError

# licences that permit nothing, or are not stated
CLOSED = ("none stated", "all rights reserved")
STRINGS = ("repository", "commit", "path", "label", "source_id", "domain", "kind", "license")


@dataclass(frozen=True)
class Recipe:
    """One file of a repository and what is known of it.

    Attributes:
        repository: OWNER/NAME on GitHub.
        commit: where the file was found.
        path: path of the file in the repository.
        label, source_id, attack, domain, license, decoder: as in `Clip`.
        kind: speech, singing, music or sound.
        decoder_model: name of the decoder, such as hifigan.
        decoder_also: classes of decoders that are near relatives.
        year: year of publication.
        twin: path of the recording that a fake was made of, aligned with it.
        regions: fake spans in seconds; None for a fake throughout.
        content_key: the same for one recording on several pages.
        split_group: the same for pages that share speakers or recordings.
    """

    repository: str
    commit: str
    path: str
    label: str
    source_id: str
    domain: str
    kind: str
    license: str
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
    """Return the recipes in a file of JSON Lines, by default those of the package.

    Raises:
        InputError: naming the file, row and key, for the first thing wrong.
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
    known = {field.name for field in fields(Recipe)}
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        where = f"{name} row {number}"
        try:
            row: dict[str, Any] = json.loads(line)
            unknown = sorted(row.keys() - known)
        except (json.JSONDecodeError, AttributeError):
            raise InputError(f"{where}: is no JSON object; write one a line") from None
        if unknown:
            raise InputError(f"{where}, {unknown[0]}: no such key; remove it")
        for key in STRINGS:
            if not isinstance(row.get(key), str) or not row[key]:
                raise InputError(f"{where}, {key}: {row.get(key)!r}; must be text")
        if row["label"] not in ("genuine", "fake"):
            raise InputError(f"{where}, label: {row['label']!r}; must be genuine or fake")
        if (row["label"] == "fake") != bool(row.get("attack") and row.get("decoder")):
            raise InputError(f"{where}, attack, decoder: fakes need both, genuine clips have none")
        row["decoder_also"] = tuple(row.get("decoder_also", ()))
        if row.get("regions") is not None:
            row["regions"] = tuple((float(a), float(b)) for a, b in row["regions"])
        recipe = Recipe(**row)
        if recipe.clip_id in seen:
            raise InputError(f"{where}, path: {recipe.path} has a row already; remove one")
        seen.add(recipe.clip_id)
        yield recipe
