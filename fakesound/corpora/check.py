"""Rows of a data set against its audio: what is there becomes clips, the rest is named."""

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
class Checked:
    """Result of checking the rows.

    Attributes:
        clips: clips that are in order.
        missing: rows without audio, each in a line.
        wrong: rows whose audio cannot be opened, or that contradict it or themselves.
        remarks: what was merged, renamed or cut.
    """

    clips: list[Clip]
    missing: list[str]
    wrong: list[str]
    remarks: list[str]


def check_rows(
    rows: Sequence[Row], progress: Callable[[int, int], None] = lambda done, total: None
) -> Checked:
    """Return the clips that ``rows`` list, every file opened and compared with its row.

    Rows that name a file again are merged if they agree; ids that recur get a number; regions that
    pass the end by a rounding are cut. Files are opened in threads.
    """
    checked = Checked([], [], [], [])
    rows = _unique_ids(_unique_files(rows, checked), checked)
    cut = 0
    for row, info in _headers(rows, progress):
        if isinstance(info, FileNotFoundError):
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
            f"{cut} clips: a region that ended a rounding after its file was cut there"
        )
    return checked


def _headers(
    rows: Sequence[Row], progress: Callable[[int, int], None]
) -> Iterator[tuple[Row, AudioInfo | FileNotFoundError | InputError]]:
    def header(row: Row) -> AudioInfo | FileNotFoundError | InputError:
        if not row.path.is_file():
            return FileNotFoundError()
        try:
            return audio_info(row.path)
        except InputError as error:
            return error

    # opening waits for the disk, not for the processor
    with ThreadPoolExecutor(4 * (os.cpu_count() or 1)) as threads:
        for done, (row, info) in enumerate(zip(rows, threads.map(header, rows), strict=True), 1):
            progress(done, len(rows))
            yield row, info


def _clip(row: Row, info: AudioInfo) -> tuple[Clip, bool]:
    """Return the clip of a row, and whether a region was cut at its end."""
    duration = round(info.duration, 6)
    if duration <= 0:
        raise InputError(f"{row.path}: holds no samples; replace or remove it")
    regions, late = _regions(row, duration)
    if row.label == "genuine" and (row.attack is not None or regions):
        raise InputError("label: genuine, but an attack or regions are given")
    if row.label == "fake" and not regions:
        raise InputError("label: fake, but no region is")
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
    kept = []
    for region in row.regions:
        excess = microseconds(region.offset) - microseconds(duration)
        if excess > microseconds(row.slack) or region.onset >= duration:
            raise InputError(
                f"regions: [{region.onset}, {region.offset}] passes the end of {row.path.name}, "
                f"which lasts {duration} s"
            )
        late |= excess > 0
        kept.append(Region(region.onset, min(region.offset, duration)))
    return tuple(merge_regions(kept)), late


def _unique_files(rows: Sequence[Row], checked: Checked) -> list[Row]:
    """Return ``rows`` with those of one file merged, or all left out where they contradict."""
    groups: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[os.path.abspath(row.path)].append(row)
    kept = []
    merged = 0
    for first, *others in groups.values():
        claims = {(r.label, r.attack, r.regions, r.source_id, r.split) for r in (first, *others)}
        if len(claims) > 1:
            places = ", ".join(row.where for row in (first, *others))
            checked.wrong.append(f"{places}: the same file, {first.path}, but not the same labels")
            continue
        merged += len(others)
        donors = dict.fromkeys(donor for row in (first, *others) for donor in row.donor_ids)
        subsets = dict.fromkeys(subset for row in (first, *others) for subset in row.subsets)
        kept.append(replace(first, donor_ids=tuple(donors), subsets=tuple(subsets)))
    if merged:
        checked.remarks.append(f"{merged} rows that name a file again merged with the first")
    return kept


def _unique_ids(rows: Sequence[Row], checked: Checked) -> list[Row]:
    """Return ``rows`` with ids that recur numbered from the second on, in order."""
    taken = {row.clip_id for row in rows}
    count: Counter[str] = Counter()
    unique = []
    for row in rows:
        count[row.clip_id] += 1
        number = count[row.clip_id]
        clip_id = row.clip_id
        while number > 1 and clip_id in taken:
            clip_id = f"{row.clip_id}~{number}"
            number += 1
        taken.add(clip_id)
        unique.append(replace(row, clip_id=clip_id))
    renamed = sum(number - 1 for number in count.values())
    if renamed:
        checked.remarks.append(f"{renamed} clips had the id of another: numbered ~2, ~3 ...")
    return unique
