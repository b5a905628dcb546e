"""AudioCaps recordings and the notation of regions, which FakeSound and FakeSound2 share."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from fakesound.corpora.listing import Listing, Row, locate
from fakesound.errors import InputError
from fakesound.timeline import Region

# a fixed length, since a YouTube id may contain "_" and "-"
ID_LENGTH = 11
# documented length of a clip in seconds; files differ from it slightly
NOMINAL = 10.0
AUDIOLDM1 = "audioldm1"
AUDIOLDM2 = "audioldm2"
AUDIOLDM2_AUDIOSR = "audioldm2_audiosr"


def source_of(audio_id: str) -> str:
    """Return the source id of a clip: the AudioCaps recording that its id begins with.

    Raises:
        InputError: if ``audio_id`` is shorter than a YouTube id.
    """
    if len(audio_id) < ID_LENGTH:
        raise InputError(f"audio_id: {audio_id!r} does not begin with a YouTube id")
    return f"audiocaps/{audio_id[:ID_LENGTH]}"


def read_spans(text: str) -> tuple[Region, ...] | None:
    """Return the regions of an ``onset_offset``; empty for none, None for the whole clip.

    FakeSound writes "6.12_7.4" and "0_0", FakeSound2 "0.4-1.6_2.52-5.2", "0-0" and "0-10".

    Raises:
        InputError: if ``text`` has neither form.
    """
    parts = [part.split("-") for part in text.split("_")] if "-" in text else [text.split("_")]
    try:
        spans = [(float(onset), float(offset)) for onset, offset in parts]
    except ValueError:
        raise InputError(f"onset_offset: {text!r} is neither a_b nor a-b_c-d") from None
    if spans == [(0.0, 0.0)]:
        return ()
    if spans == [(0.0, NOMINAL)]:
        return None
    try:
        return tuple(Region(onset, offset) for onset, offset in spans)
    except InputError as error:
        raise InputError(f"onset_offset: {error}") from None


def find_audio(listing: Listing, root: Path, bases: Sequence[Path]) -> list[Row]:
    """Return the rows with the paths of their audio; genuine rows are merged by source.

    Each test set lists the same recording again; it becomes one row that belongs to all of them.
    Genuine recordings missing from their listed path are searched for under ``root`` by YouTube
    id, with or without the leading "Y" of AudioCaps downloads.
    """
    # imports scipy, which is slow; arguments are checked before
    from fakesound.data.folders import audio_files

    # the tree is walked once, and only if a file is missing
    stems = cache(lambda: {path.stem: path for path in reversed(audio_files(root))})
    genuine: defaultdict[tuple[str, str | None], list[tuple[Row, Path | None]]] = defaultdict(list)
    fakes = []
    for row in listing.rows:
        path = locate(bases, row.path.as_posix())
        if row.label == "genuine":
            genuine[row.source_id, row.split].append((row, path))
        else:
            fakes.append(_with_path(row, path, root))
    merged = []
    elsewhere: list[Path] = []
    for (source, _), copies in genuine.items():
        path = next((path for _, path in copies if path is not None), None)
        if path is None:
            name = source.rpartition("/")[2]
            path = stems().get(name) or stems().get(f"Y{name}")
            elsewhere += [path] if path else []
        subsets = dict.fromkeys(name for row, _ in copies for name in row.subsets)
        merged.append(_with_path(replace(copies[0][0], subsets=tuple(subsets)), path, root))
    count = sum(len(copies) for copies in genuine.values())
    if count > len(genuine):
        listing.remarks.append(
            f"{count} genuine rows list {len(genuine)} recordings: merged, with all their subsets"
        )
    if elsewhere:
        listing.remarks.append(
            f"{len(elsewhere)} genuine recordings found by YouTube id, not at their listed path, "
            f"such as {elsewhere[0]}"
        )
    return merged + fakes


def _with_path(row: Row, path: Path | None, root: Path) -> Row:
    return replace(row, path=path or root / row.path)
