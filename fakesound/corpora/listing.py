"""Clips as the files of a data set list them, before any audio is opened."""

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
# a region may end this many seconds after its file: a step of the coarsest published time grid
ROUNDING = 0.05


@dataclass(frozen=True)
class Row:
    """One clip as its data set lists it.

    Attributes:
        where: file and row, for messages.
        clip_id: the data set's name for it.
        path: where its audio should be.
        source_id, label, attack, split, donor_ids, domain, license, subsets: as in `Clip`.
        corpus: the data set.
        regions: fake spans as listed; None for a clip that is fake throughout.
        slack: seconds that a region may end after the file.
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
        rows: those that could be read.
        problems: those that could not, each in a line that names file and row.
        remarks: what was merged, or found elsewhere than listed.
    """

    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def add(
        self, entries: Iterable[tuple[str, Item]], parse: Callable[[Item, str], Row | list[Row]]
    ) -> None:
        """Add what ``parse`` returns for each entry and its place, or its error as a problem."""
        for where, entry in entries:
            try:
                found = parse(entry, where)
                self.rows += [found] if isinstance(found, Row) else found
            except InputError as error:
                self.problems.append(f"{where}, {error}")

    def text(self, path: Path) -> str:
        """Return the text of a list; nothing, and a remark, where there is no such file."""
        if path.is_file():
            return read_text(path)
        self.remarks.append(f"{path}: not there, so its clips are left out")
        return ""

    def lines(self, path: Path) -> Iterator[tuple[str, str]]:
        """Yield place and text of the lines of a list, as `text` reads it."""
        for number, line in enumerate(self.text(path).split("\n"), start=1):
            if line.strip():
                yield f"{path.name} row {number}", line


@dataclass(frozen=True)
class Corpus:
    """A data set that can be prepared.

    Attributes:
        name: name of the corpus, ``corpus=NAME`` on the command line.
        summary: what it holds.
        layout: what ``root`` is expected to hold, one path a line.
        source: where to get it.
        card: its licence, and what to cite.
        read: returns its listing, given ``root``; raises InputError if nothing of it is there.
        per_folder: whether each user's ``root`` is another data set, named after it.
    """

    name: str
    summary: str
    layout: str
    source: str
    card: str
    read: Callable[[Path], Listing]
    per_folder: bool = False


def named(value: str, names: dict[str, tuple[str, ...]], key: str) -> str:
    """Return which of ``names`` has ``value`` among its synonyms, in any case.

    Raises:
        InputError: naming the ``key`` and what it may be.
    """
    for name, synonyms in names.items():
        if value.strip().lower() in synonyms:
            return name
    allowed = "; ".join(", ".join(synonyms) for synonyms in names.values())
    raise InputError(f"{key}: {value!r}; must be one of {allowed}")


def checked(content: object, schema: type[Item]) -> Item:
    """Return an entry of a list as its ``schema``, a msgspec Struct.

    Raises:
        InputError: naming the field.
    """
    try:
        return msgspec.convert(content, schema)
    except msgspec.ValidationError as error:
        entry = content if isinstance(content, dict) else {}
        raise InputError(field_error(error, entry, {"label": ("0", "1")})) from None


def find_folder(root: Path, places: Iterable[str], names: Iterable[str], layout: str) -> Path:
    """Return the first of ``places`` under ``root`` that holds any of the files ``names``.

    Raises:
        InputError: that shows the expected layout, if none does.
    """
    names = list(names)
    for place in places:
        if any((root / place / name).exists() for name in names):
            return root / place
    shown = "; ".join(line.strip() for line in layout.splitlines() if line.strip())
    raise InputError(f"root={root}: none of the data set is here; expected {shown}")


def read_text(path: Path) -> str:
    """Return the text of a file of a data set.

    Raises:
        InputError: if it is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None


def locate(bases: Iterable[Path], listed: str) -> Path | None:
    """Find the file that a data set lists as ``listed``; None if there is none.

    Leading folders may be missing below a base, and a folder may be doubled in the list
    (``audio/audio``) but not on disk. The folder that holds the file always counts: files of the
    same name lie in several.
    """
    parts = Path(listed).parts
    single = tuple(part for i, part in enumerate(parts) if i == 0 or part != parts[i - 1])
    for base, known in product(bases, dict.fromkeys((parts, single))):
        for skipped in range(max(1, len(known) - 1)):
            path = base.joinpath(*known[skipped:])
            if path.is_file():
                return path
    return None
