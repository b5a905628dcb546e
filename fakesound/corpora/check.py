"""Check of a data set's rows against its audio files; rows that pass become clips."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import cast

from fakesound.clip import Clip, Label, Split
from fakesound.corpora.listing import Row
from fakesound.data.audio import AudioInfo, audio_info
from fakesound.errors import InputError
from fakesound.timeline import Region, merge_regions, microseconds


@dataclass(frozen=True)
class CheckedRows:
    """Result of checking the rows.

    Attributes:
        clips: clips of the valid rows.
        missing: rows without audio, one line each.
        wrong: rows with unreadable audio or contradictory labels, one line each.
        remarks: changes made to rows, one line each.
    """

    clips: list[Clip]
    missing: list[str]
    wrong: list[str]
    remarks: list[str]


def check_rows(
    rows: Sequence[Row], progress: Callable[[int, int], None] = lambda done, total: None
) -> CheckedRows:
    """Open every file, compare it with its row and return the clips.

    Rows that name the same file are merged if they agree. Repeated ids get a number. Regions that
    end after the file because of rounding are cut. Files are opened in threads.
    """
    checked = CheckedRows([], [], [], [])
    rows = _unique_ids(_unique_files(rows, checked), checked)
    cut = 0
    for row, info in _headers(rows, progress):
        if info is None:
            checked.missing.append(f"{row.where}: no such file: {row.path}")
            continue
        try:
            if isinstance(info, InputError):
                raise info
            clip, late = _clip(row, info)
        except InputError as error:
            checked.wrong.append(f"{row.where}, {error}")
            continue
        checked.clips.append(clip)
        cut += late
    if cut:
        checked.remarks.append(
            f"{cut} clips: a region that ended just after the file was cut at its end"
        )
    return checked


def _headers(
    rows: Sequence[Row], progress: Callable[[int, int], None]
) -> Iterator[tuple[Row, AudioInfo | InputError | None]]:
    """Yield each row with the header of its file, the error of reading it, or None: no file."""

    def header(row: Row) -> AudioInfo | InputError | None:
        if not row.path.exists():
            return None
        try:
            return audio_info(row.path)
        except InputError as error:
            return error

    # opening a file waits for the disk, not for the processor
    with ThreadPoolExecutor(4 * (os.cpu_count() or 1)) as threads:
        for done, (row, info) in enumerate(zip(rows, threads.map(header, rows), strict=True), 1):
            progress(done, len(rows))
            yield row, info


def _clip(row: Row, info: AudioInfo) -> tuple[Clip, bool]:
    """Return the clip of a row, and whether a region was cut at the end of the file."""
    duration = round(info.duration, 6)
    if duration <= 0:
        raise InputError(f"{row.path}: holds no samples; replace or remove it")
    regions, late = _regions(row, duration)
    clip = Clip(
        clip_id=row.clip_id,
        location=str(row.path.parent.resolve() / row.path.name),
        source_id=row.source_id,
        label=cast(Label, row.label),
        attack=row.attack,
        regions=regions,
        duration=duration,
        sample_rate=info.sample_rate,
        corpus=row.corpus,
        split=cast(Split | None, row.split),
        donor_ids=row.donor_ids,
        domain=row.domain or row.corpus,
        license=row.license,
        subsets=row.subsets,
    )
    return clip, late


def _regions(row: Row, duration: float) -> tuple[tuple[Region, ...], bool]:
    if row.regions is None:
        return (Region(0.0, duration),), False
    late = False
    regions = []
    for region in row.regions:
        excess = microseconds(region.offset) - microseconds(duration)
        if excess > microseconds(row.slack) or region.onset >= duration:
            raise InputError(
                f"regions: [{region.onset}, {region.offset}] ends after {row.path.name}, "
                f"which lasts {duration} s"
            )
        late |= excess > 0
        regions.append(Region(region.onset, min(region.offset, duration)))
    return tuple(merge_regions(regions)), late


def _unique_files(rows: Sequence[Row], checked: CheckedRows) -> list[Row]:
    """Return ``rows`` with one row for each file; rows that contradict each other are dropped."""
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[os.path.abspath(row.path)].append(row)
    unique = []
    merged = 0
    for first, *others in groups.values():
        claims = {(r.label, r.attack, r.regions, r.source_id, r.split) for r in (first, *others)}
        if len(claims) > 1:
            names = ", ".join(row.where for row in (first, *others))
            checked.wrong.append(f"{names}: different labels for the same file, {first.path}")
            continue
        merged += len(others)
        donors = dict.fromkeys(donor for row in (first, *others) for donor in row.donor_ids)
        subsets = dict.fromkeys(subset for row in (first, *others) for subset in row.subsets)
        unique.append(replace(first, donor_ids=tuple(donors), subsets=tuple(subsets)))
    if merged:
        checked.remarks.append(f"{merged} rows merged with an earlier row of the same file")
    return unique


def _unique_ids(rows: Sequence[Row], checked: CheckedRows) -> list[Row]:
    """Return ``rows`` with repeated ids numbered ~2, ~3 and so on."""
    ids = {row.clip_id for row in rows}
    count: Counter[str] = Counter()
    unique = []
    for row in rows:
        count[row.clip_id] += 1
        number = count[row.clip_id]
        clip_id = row.clip_id
        while number > 1 and clip_id in ids:
            clip_id = f"{row.clip_id}~{number}"
            number += 1
        ids.add(clip_id)
        unique.append(replace(row, clip_id=clip_id))
    renamed = sum(number - 1 for number in count.values())
    if renamed:
        checked.remarks.append(f"{renamed} clips had the id of another clip: numbered ~2, ~3 ...")
    return unique
