"""The manifest: one clip a row, JSON Lines, validated on read.

Keys: ``clip_id, path`` (relative to the manifest), ``source_id, label, attack, regions, duration,
sample_rate, corpus, split`` and, where known, ``donor_ids, domain, license, twin_id, subsets``.
Further keys are kept in ``extra``. Nothing is ever parsed out of a file name.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from fakesound.errors import InputError
from fakesound.files import write_whole
from fakesound.timeline import Region

LABELS = ("genuine", "fake")
SPLITS = ("train", "validation", "test")
# regions may end this many seconds after the rounded duration
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Clip:
    """One audio file and what is known of it.

    Attributes:
        clip_id: unique in its manifest.
        path: absolute path of the audio.
        source_id: the original recording; a fake and its genuine twin share it.
        label: "genuine" or "fake".
        attack: ``family/generator``; None for genuine clips.
        regions: fake spans; a fake clip has at least one.
        duration: seconds.
        sample_rate: samples a second in the file.
        corpus: where the clip comes from.
        split: "train", "validation", "test" or None.
        donor_ids: sources of pasted or mixed material.
        domain: recordings alike but for the attack; the corpus by default.
        license: SPDX identifier or None.
        twin_id: the genuine clip that equals this fake outside its regions, to the sample.
        subsets: official test sets the clip belongs to, such as "easy" and "hard".
        extra: keys this package does not know.
    """

    clip_id: str
    path: Path
    source_id: str
    label: str
    attack: str | None
    regions: tuple[Region, ...]
    duration: float
    sample_rate: int
    corpus: str
    split: str | None = None
    donor_ids: tuple[str, ...] = ()
    domain: str = ""
    license: str | None = None
    twin_id: str | None = None
    subsets: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_fake(self) -> bool:
        """Whether the label is "fake"."""
        return self.label == "fake"

    @property
    def sources(self) -> tuple[str, ...]:
        """The source and those of all donors."""
        return (self.source_id, *self.donor_ids)


def read_manifest(path: Path, check_files: bool = True) -> list[Clip]:
    """Return the clips of the manifest at ``path``.

    Raises:
        InputError: naming the manifest, the row, the field and the mend, for the first thing wrong.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such manifest; give the path of a manifest.jsonl")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None
    # not splitlines: a title may hold any other separator of lines that Unicode knows
    lines = enumerate(text.split("\n"), start=1)
    rows = {number: _row(line, f"{path} row {number}") for number, line in lines if line.strip()}
    if not rows:
        raise InputError(f"{path}: has no rows; a manifest holds one JSON object a line")
    clips = [_clip(row, f"{path} row {number}", path.parent) for number, row in rows.items()]
    first: dict[str, int] = {}
    for number, clip in zip(rows, clips, strict=True):
        where = f"{path} row {number}"
        if clip.clip_id in first:
            raise InputError(
                f"{where}, clip_id: {clip.clip_id!r} is row {first[clip.clip_id]} too; "
                "make it unique"
            )
        if check_files and not clip.path.is_file():
            raise InputError(
                f"{where}, path: {clip.path} does not exist; restore it or drop the row"
            )
        first[clip.clip_id] = number
    _check_twins(dict(zip(rows, clips, strict=True)), path)
    return clips


def read_rows(rows: Iterable[dict[str, Any]], folder: Path, name: str) -> list[Clip]:
    """Return the clips of parsed rows whose paths are relative to ``folder``.

    Raises:
        InputError: naming ``name``, the clip, the field and the mend.
    """
    return [_clip(row, f"{name} clip {row.get('clip_id')}", folder) for row in rows]


def write_manifest(path: Path, clips: Iterable[Clip]) -> None:
    """Write ``clips`` to ``path`` at once: the file is whole or not there."""
    rows = [json.dumps(clip_row(clip, path.parent), ensure_ascii=False) for clip in clips]
    write_whole(path, "\n".join(rows) + "\n")


def clip_row(clip: Clip, folder: Path) -> dict[str, Any]:
    """Return the manifest row of ``clip`` in a manifest that lies in ``folder``."""
    row: dict[str, Any] = {
        "clip_id": clip.clip_id,
        "path": Path(os.path.relpath(clip.path, folder)).as_posix(),
        "source_id": clip.source_id,
        "label": clip.label,
        "attack": clip.attack,
        "regions": [[region.onset, region.offset] for region in clip.regions],
        "duration": clip.duration,
        "sample_rate": clip.sample_rate,
        "corpus": clip.corpus,
        "split": clip.split,
        "domain": clip.domain,
        "license": clip.license,
    }
    if clip.donor_ids:
        row["donor_ids"] = list(clip.donor_ids)
    if clip.twin_id is not None:
        row["twin_id"] = clip.twin_id
    if clip.subsets:
        row["subsets"] = list(clip.subsets)
    return row | dict(clip.extra)


def manifest_hash(clips: Sequence[Clip]) -> str:
    """Return a digest of what the clips are, whatever their order and folder."""
    rows = sorted(json.dumps(clip_row(clip, clip.path.parent), sort_keys=True) for clip in clips)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error.msg}); one object a line") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: not a JSON object; one object a line")
    return row


def _clip(row: dict[str, Any], where: str, folder: Path) -> Clip:
    def take(key: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:  # noqa: ANN401
        if key not in row and default is not ...:
            return default
        if key not in row:
            raise InputError(f"{where}, {key}: missing; every row needs it")
        value = row.pop(key)
        if isinstance(value, bool) or not isinstance(value, kind):
            names = (
                kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
            )
            raise InputError(f"{where}, {key}: {value!r} is not of type {names}")
        return value

    none = type(None)
    label = take("label", str)
    attack = take("attack", (str, none))
    duration = float(take("duration", (int, float)))
    if not (duration > 0 and isfinite(duration)):
        raise InputError(f"{where}, duration: {duration}; must be positive seconds")
    split = take("split", (str, none), None)
    corpus = take("corpus", str)
    regions = _regions(take("regions", list), duration, where)
    if label not in LABELS:
        raise InputError(f"{where}, label: {label!r}; must be one of {', '.join(LABELS)}")
    if split is not None and split not in SPLITS:
        raise InputError(f"{where}, split: {split!r}; must be null or one of {', '.join(SPLITS)}")
    if label == "genuine" and (attack is not None or regions):
        raise InputError(f"{where}, label: genuine, but attack or regions are given; clear them")
    if label == "fake" and not (attack and regions):
        raise InputError(f"{where}, label: fake, but attack or regions are missing; give both")
    sample_rate = take("sample_rate", int)
    if sample_rate <= 0:
        raise InputError(f"{where}, sample_rate: {sample_rate}; must be positive")
    donors = take("donor_ids", (list, none), None) or ()
    if not all(isinstance(donor, str) for donor in donors):
        raise InputError(f"{where}, donor_ids: {donors}; must be source ids")
    subsets = take("subsets", (list, none), None) or ()
    if not all(isinstance(subset, str) for subset in subsets):
        raise InputError(f"{where}, subsets: {subsets}; must be names")
    clip = Clip(
        clip_id=take("clip_id", str),
        path=(folder / take("path", str)).resolve(),
        source_id=take("source_id", str),
        label=label,
        attack=attack,
        regions=regions,
        duration=duration,
        sample_rate=sample_rate,
        corpus=corpus,
        split=split,
        donor_ids=tuple(donors),
        domain=take("domain", (str, none), None) or corpus,
        license=take("license", (str, none), None),
        twin_id=take("twin_id", (str, none), None),
        subsets=tuple(subsets),
    )
    object.__setattr__(clip, "extra", row)
    return clip


def _regions(spans: list[Any], duration: float, where: str) -> tuple[Region, ...]:
    regions = []
    for span in spans:
        edges = span if isinstance(span, list) else []
        if [type(edge) in (int, float) for edge in edges] != [True, True]:
            raise InputError(f"{where}, regions: {span!r} is not [onset, offset]")
        onset, offset = map(float, edges)
        if offset > duration + TOLERANCE:
            raise InputError(f"{where}, regions: {span} ends after the clip's {duration} s")
        try:
            regions.append(Region(onset, min(offset, duration)))
        except InputError as error:
            raise InputError(f"{where}, regions: {error}") from None
    return tuple(sorted(regions))


def _check_twins(clips: Mapping[int, Clip], path: Path) -> None:
    by_id = {clip.clip_id: clip for clip in clips.values()}
    for number, clip in clips.items():
        if clip.twin_id is None:
            continue
        twin = by_id.get(clip.twin_id)
        if twin is None or twin.is_fake or twin.source_id != clip.source_id:
            raise InputError(
                f"{path} row {number}, twin_id: {clip.twin_id!r} is no genuine clip of the "
                "same source; add its row or drop the key"
            )
