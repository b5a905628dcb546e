"""From a line of a manifest to a clip, or to what is wrong with it.

Rows that are plainly right go a short way of a few microseconds. Whatever is not goes the long way,
which knows what is wrong and how to mend it, or that it is right all the same.
"""

import json
from math import isfinite
from typing import Any

import msgspec

from fakesound.clip import LABELS, SPLITS, Clip, as_path
from fakesound.data.folder import Folder
from fakesound.data.places import AudioPath
from fakesound.errors import InputError
from fakesound.timeline import Region

# regions may end this many seconds after the rounded duration
TOLERANCE = 1e-3
_loads = msgspec.json.Decoder().decode
_NUMBERS = (int, float)
_EMPTY: dict[str, Any] = {}


def plain_clip(line: str, folder: Folder) -> Clip | None:
    """Return the clip of a row in which all is as it should be, else None: see `checked_clip`."""
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
    decoder = take("decoder", None)
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
        and (decoder is None or type(decoder) is str)
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
        decoder and same(decoder, decoder),
        row or _EMPTY,
    )


def parsed(line: str, where: str) -> dict[str, Any]:
    """Return the object in a line of the manifest.

    Raises:
        InputError: if it is none.
    """
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: not JSON ({error.msg}); one object a line") from None
    if not isinstance(row, dict):
        raise InputError(f"{where}: not a JSON object; one object a line")
    return row


def checked_clip(row: dict[str, Any], where: str, folder: Folder) -> Clip:
    """Return the clip of a row, which is used up.

    Raises:
        InputError: naming ``where``, the field and the mend.
    """

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
        decoder=take("decoder", (str, none), None),
    )
    object.__setattr__(clip, "extra", row)
    return clip


def _located(path: str, folder: Folder, where: str) -> AudioPath:
    try:
        return as_path(folder.locate(path))
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
