"""The manifest: one clip a row, JSON Lines, validated on read.

Keys: ``clip_id, path`` (relative to the manifest), ``source_id, label, attack, regions, duration,
sample_rate, corpus, split`` and, where known, ``donor_ids, domain, license, twin_id, subsets``.
Further keys are kept in ``extra``. Nothing is ever parsed out of a file name.

``path`` may name a member of a tar, ``00012.tar::00024001.flac@1536+40212`` (see
`fakesound.data.places`), or a URL, and the manifest itself may be at a URL. A manifest may have
millions of rows: they are read one by one, and rows that are plainly right by a shorter way, a few
microseconds each; whatever is not goes the long way, which knows what is wrong and how to mend it.
"""

import gc
import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec

from fakesound.data.folder import Folder, relative
from fakesound.data.places import IN_TAR, AudioPath, Place, open_audio, place
from fakesound.errors import InputError
from fakesound.timeline import Region

LABELS = ("genuine", "fake")
SPLITS = ("train", "validation", "test")
# regions may end this many seconds after the rounded duration
TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True)
class Clip:
    """One audio file and what is known of it.

    Attributes:
        clip_id: unique in its manifest.
        path: absolute path of the audio, or its place in a tar or at a URL.
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
    path: AudioPath
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


# a million `Path` objects would take 400 MB: clips keep text, and make them when asked
_path = Clip.__dict__["path"]
type.__setattr__(
    Clip,
    "path",
    property(
        lambda clip: _as_path(_path.__get__(clip)),
        lambda clip, path: _path.__set__(clip, str(path)),
        doc=_path.__doc__,
    ),
)


def _as_path(text: str) -> AudioPath:
    return place(text) if IN_TAR in text or "://" in text else Path(text)


def read_manifest(path: AudioPath, check_files: bool = True) -> list[Clip]:
    """Return the clips of the manifest at ``path``.

    Raises:
        InputError: naming the manifest, the row, the field and the mend, for the first thing wrong.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such manifest; give the path of a manifest.jsonl")
    clips: list[Clip] = []
    numbers: dict[str, int] = {}
    folder = Folder(str(path).rpartition("/")[0] if isinstance(path, Place) else str(path.parent))
    with _no_collection(), open_audio(path) as file:
        # not splitlines: a title may hold any other separator of lines that Unicode knows
        lines = io.TextIOWrapper(file, encoding="utf-8")
        for number, line in enumerate(_decoded(lines, path), start=1):
            if not line.strip():
                continue
            clip = _plain_clip(line, folder)
            if clip is None:
                where = f"{path} row {number}"
                clip = _clip(_row(line, where), where, folder)
            if numbers.setdefault(clip.clip_id, number) != number:
                raise InputError(
                    f"{path} row {number}, clip_id: {clip.clip_id!r} is row "
                    f"{numbers[clip.clip_id]} too; make it unique"
                )
            if check_files and not folder.holds(_path.__get__(clip)):
                raise InputError(
                    f"{path} row {number}, path: {clip.path} does not exist; restore it or drop "
                    "the row"
                )
            clips.append(clip)
        if not clips:
            raise InputError(f"{path}: has no rows; a manifest holds one JSON object a line")
        _check_twins(clips, numbers, path)
    return clips


def read_rows(rows: Iterable[dict[str, Any]], folder: Path, name: str) -> list[Clip]:
    """Return the clips of parsed rows whose paths are relative to ``folder``.

    Raises:
        InputError: naming ``name``, the clip, the field and the mend.
    """
    places = Folder(str(folder))
    return [_clip(row, f"{name} clip {row.get('clip_id')}", places) for row in rows]


def write_manifest(path: Path, clips: Iterable[Clip]) -> None:
    """Write ``clips`` to ``path`` at once: the file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            for clip in clips:
                row = clip_row(clip, path.parent)
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def clip_row(clip: Clip, folder: Path) -> dict[str, Any]:
    """Return the manifest row of ``clip`` in a manifest that lies in ``folder``."""
    return row_of(clip, relative(_path.__get__(clip), str(folder)))


def row_of(clip: Clip, path: str) -> dict[str, Any]:
    """Return the manifest row of ``clip``, whose audio is called ``path`` there."""
    row: dict[str, Any] = {
        "clip_id": clip.clip_id,
        "path": path,
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
    rows = sorted(json.dumps(row_of(clip, clip.path.name), sort_keys=True) for clip in clips)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()[:16]


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python from looking for garbage among millions of new objects, of which none is any."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _decoded(lines: Iterable[str], path: AudioPath) -> Iterator[str]:
    try:
        yield from lines
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from None


_loads = msgspec.json.Decoder().decode
_NUMBERS = (int, float)
_EMPTY: dict[str, Any] = {}


def _plain_clip(line: str, folder: "Folder") -> Clip | None:
    """Return the clip of a row in which all is as it should be, else None: see `_clip`."""
    try:
        row = _loads(line)
        take = row.pop
        clip_id, path, source = take("clip_id"), take("path"), take("source_id")
        label, attack, spans = take("label"), take("attack"), take("regions")
        duration, rate, corpus = take("duration"), take("sample_rate"), take("corpus")
    except (msgspec.MsgspecError, AttributeError, KeyError, TypeError):
        return None
    split, donors = take("split", None), take("donor_ids", None)
    domain, license_ = take("domain", None), take("license", None)
    twin, subsets = take("twin_id", None), take("subsets", None)
    if not (
        type(clip_id) is type(path) is type(source) is type(corpus) is type(label) is str
        and type(duration) in _NUMBERS
        and 0 < duration < float("inf")
        and type(rate) is int
        and rate > 0
        and type(spans) is list
        and (split is None or split in SPLITS)
        and (domain is None or type(domain) is str)
        and (license_ is None or type(license_) is str)
        and (twin is None or type(twin) is str)
    ):
        return None
    if not (
        (label == "genuine" and attack is None and not spans)
        or (label == "fake" and type(attack) is str and attack and spans)
    ):
        return None
    try:
        regions, location = _regions(spans, duration, ""), folder.locate(path)
    except InputError:
        return None
    for names in (donors, subsets):
        if names and not (type(names) is list and all(type(name) is str for name in names)):
            return None
    # strings that many rows share are kept once
    same = folder.same.setdefault
    return Clip(
        clip_id,
        location,  # type: ignore[arg-type]  # kept as text in any case
        same(source, source),
        LABELS[label == "fake"],
        attack and same(attack, attack),
        regions,
        float(duration),
        rate,
        same(corpus, corpus),
        split and same(split, split),
        tuple(donors) if donors else (),
        same(domain, domain) if domain else same(corpus, corpus),
        license_ and same(license_, license_),
        twin and same(twin, twin),
        tuple(subsets) if subsets else (),
        row or _EMPTY,
    )


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error.msg}); one object a line") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: not a JSON object; one object a line")
    return row


def _clip(row: dict[str, Any], where: str, folder: Folder) -> Clip:
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
        path=_located(take("path", str), folder, where),
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


def _located(path: str, folder: Folder, where: str) -> AudioPath:
    try:
        return _as_path(folder.locate(path))
    except InputError as error:
        raise InputError(f"{where}, path: {error}") from None


def _regions(spans: list[Any], duration: float, where: str) -> tuple[Region, ...]:
    regions = []
    for span in spans:
        edges = span if isinstance(span, list) else []
        if len(edges) != 2 or type(edges[0]) not in _NUMBERS or type(edges[1]) not in _NUMBERS:
            raise InputError(f"{where}, regions: {span!r} is not [onset, offset]")
        onset, offset = float(edges[0]), float(edges[1])
        if offset > duration + TOLERANCE:
            raise InputError(f"{where}, regions: {span} ends after the clip's {duration} s")
        try:
            regions.append(Region(onset, min(offset, duration)))
        except InputError as error:
            raise InputError(f"{where}, regions: {error}") from None
    return tuple(sorted(regions) if len(regions) > 1 else regions)


def _check_twins(clips: Sequence[Clip], numbers: Mapping[str, int], path: AudioPath) -> None:
    genuine = {clip.clip_id: clip.source_id for clip in clips if clip.label == "genuine"}
    for clip in clips:
        if clip.twin_id is not None and genuine.get(clip.twin_id) != clip.source_id:
            raise InputError(
                f"{path} row {numbers[clip.clip_id]}, twin_id: {clip.twin_id!r} is no genuine "
                "clip of the same source; add its row or drop the key"
            )
