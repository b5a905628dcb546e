"""Rows of a data set, as its files list them, before any audio is opened."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TypeVar

import msgspec

from fakesound.errors import InputError, field_error
from fakesound.timeline import Region

Item = TypeVar("Item")

LABEL_NAMES = {
    "genuine": ("genuine", "real", "bonafide", "bona-fide", "bona_fide", "0"),
    "fake": ("fake", "spoof", "1"),
}
SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "dev", "valid", "val"),
    "test": ("test", "eval"),
}
# seconds by which a region may end after its file: a step of the coarsest published time grid
ROUNDING = 0.05


@dataclass(frozen=True)
class Row:
    """One clip as its data set lists it.

    Attributes:
        where: file and row, for messages.
        clip_id: identifier in the data set.
        path: listed path of the audio.
        source_id, label, attack, split, donor_ids, domain, license, subsets: as in `Clip`.
        corpus: name of the data set.
        regions: fake spans as listed; None for a clip that is fake throughout.
        slack: seconds by which a region may end after the file.
    """

    where: str
    clip_id: str
    path: Path
    source_id: str
    label: str
    corpus: str
    attack: str | None = None
    regions: tuple[Region, ...] | None = ()
    split: str | None = None
    donor_ids: tuple[str, ...] = ()
    domain: str = ""
    license: str | None = None
    subsets: tuple[str, ...] = ()
    slack: float = ROUNDING


@dataclass
class Listing:
    """The rows of a data set.

    Attributes:
        rows: rows that could be read.
        problems: errors of the other rows; each line names the file and row.
        remarks: changes made to rows, and missing lists.
    """

    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(
        self, entries: Iterable[tuple[str, Item]], parse: Callable[[Item, str], Row | list[Row]]
    ) -> None:
        """Parse the entries, pairs of a place and content; add their rows, or their errors."""
        for where, entry in entries:
            try:
                parsed = parse(entry, where)
                self.rows += [parsed] if isinstance(parsed, Row) else parsed
            except InputError as error:
                self.problems.append(f"{where}, {error}")

    def text(self, path: Path) -> str:
        """Return the text of a list; if the file is missing, add a remark and return ""."""
        if path.is_file():
            return read_text(path)
        self.remarks.append(f"{path}: not found, so its clips are left out")
        return ""

    def lines(self, path: Path) -> Iterator[tuple[str, str]]:
        """Yield the place and text of each line of a list."""
        for number, line in enumerate(self.text(path).split("\n"), start=1):
            if line.strip():
                yield f"{path.name} row {number}", line


@dataclass(frozen=True)
class Corpus:
    """A data set that can be prepared.

    Attributes:
        name: name of the corpus on the command line.
        summary: description of the content.
        layout: paths that ``root`` must hold, one a line.
        source: place to download it from.
        card: licence and citation.
        read: function from ``root`` to the listing; raises InputError if no list is found.
        per_folder: whether every ``root`` is a data set of its own, named after the folder.
    """

    name: str
    summary: str
    layout: str
    source: str
    card: str
    read: Callable[[Path], Listing]
    per_folder: bool = False


def canonical_name(value: str, names: dict[str, tuple[str, ...]], key: str) -> str:
    """Return the name that has ``value`` among its synonyms, whatever its case.

    Raises:
        InputError: naming the ``key`` and the allowed values.
    """
    for name, synonyms in names.items():
        if value.strip().lower() in synonyms:
            return name
    allowed = "; ".join(", ".join(synonyms) for synonyms in names.values())
    raise InputError(f"{key}: {value!r}; must be one of {allowed}")


def parse_entry(content: object, schema: type[Item]) -> Item:
    """Convert an entry of a list to its ``schema``, a msgspec Struct.

    Raises:
        InputError: naming the field.
    """
    try:
        return msgspec.convert(content, schema)
    except msgspec.ValidationError as error:
        entry = content if isinstance(content, dict) else {}
        raise InputError(field_error(error, entry, {"label": ("0", "1")})) from None


def find_folder(root: Path, bases: Iterable[str], names: Iterable[str], layout: str) -> Path:
    """Return the first of ``bases`` under ``root`` that holds any of the files ``names``.

    Raises:
        InputError: showing the expected layout, if none does.
    """
    names = list(names)
    for base in bases:
        if any((root / base / name).exists() for name in names):
            return root / base
    shown = "; ".join(line.strip() for line in layout.splitlines() if line.strip())
    raise InputError(f"{root}: no file of the data set found; expected {shown}")


def read_text(path: Path) -> str:
    """Return the text of a file of a data set.

    Raises:
        InputError: if it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None


def locate(bases: Iterable[Path], text: str) -> Path | None:
    """Return the file that a data set lists as ``text``; None if it is not found.

    Below a base, leading folders of ``text`` may be missing, and a repeated folder
    (``audio/audio``) may exist once. The parent folder must match, since file names are not unique.
    """
    parts = Path(text).parts
    single = tuple(part for i, part in enumerate(parts) if i == 0 or part != parts[i - 1])
    for base, variant in product(bases, dict.fromkeys((parts, single))):
        for skipped in range(max(1, len(variant) - 1)):
            path = base.joinpath(*variant[skipped:])
            if path.is_file():
                return path
    return None
