"""Merge manifests: assign splits to rows, remove duplicates, keep each source in one split."""

from collections import Counter
from collections.abc import Collection, Sequence
from functools import cache
from typing import NamedTuple

from msgspec.structs import replace

from fakesound.clip import Clip
from fakesound.data.hashes import audio_digest
from fakesound.data.location import AnyLocation, file_size, file_state, parse_location
from fakesound.data.manifest import read_manifest
from fakesound.data.splits import carve_validation, linked
from fakesound.errors import InputError


def pool_manifests(
    paths: Sequence[AnyLocation], split: str | None, check_files: bool = True
) -> tuple[list[Clip], list[str]]:
    """Return the rows of several manifests, merged, and notes on changes.

    Args:
        paths: manifests.
        split: split whose rows are used, or "all"; None: the test rows of a manifest that has some,
            otherwise all.
        check_files: whether the audio of every row must exist.

    Raises:
        InputError: for an invalid row, and for a manifest without rows of the split.
    """
    pooled = []
    for path in paths:
        rows = read_manifest(path, check_files)
        part = split or ("test" if any(clip.split == "test" for clip in rows) else "all")
        # one split for all, since they are used together
        pooled.append([replace(c, split="test") for c in rows if part in ("all", c.split)])
        if not pooled[-1]:
            raise InputError(f"{path}: has no rows of split {part}; choose another --split")
    return merge_manifests(pooled) if pooled else ([], [])


def take_parts(clips: Sequence[Clip], roles: Collection[str], name: str) -> list[Clip]:
    """Return the rows of manifest ``name`` that are used, each with its split.

    For training, the train and validation rows are used, or all if none has a split. For validation
    or test, the rows of that split are used, or all if there are none.

    Args:
        clips: rows of the manifest.
        roles: keys that name the manifest: any of "train", "validation" and "test".
        name: name of the manifest, for error messages.

    Raises:
        InputError: if it has no rows for a role, or one row would be in two splits.
    """
    splits = {clip.split for clip in clips}
    use: dict[str | None, str] = {}
    if "train" in roles:
        use = {"train": "train", "validation": "validation"}
        if splits == {None}:
            use = {None: "train"}
        elif "train" not in splits:
            shown = ", ".join(sorted(split or "null" for split in splits))
            raise InputError(
                f"data.train={name}: has no train rows, only {shown}; name it under "
                "data.test, or split it with data.manifest and split=source_folds"
            )
    for role in ("validation", "test"):
        if role in roles:
            if role not in splits and len(roles) > 1:
                raise InputError(
                    f"data.{role}={name}: is also data.{min(set(roles) - {role})} and has no "
                    f"{role} rows; mark some, or name another manifest"
                )
            use |= {role: role} if role in splits else dict.fromkeys(splits, role)
    return [replace(clip, split=use[clip.split]) for clip in clips if clip.split in use]


def without_train_split(clips: Sequence[Clip]) -> list[Clip]:
    """Return ``clips``; if none is for validation, training clips lose their split.

    `carve_validation` then divides them.
    """
    if any(clip.split == "validation" for clip in clips):
        return list(clips)
    return [replace(clip, split=None) if clip.split == "train" else clip for clip in clips]


def merge_manifests(
    corpora: Sequence[Sequence[Clip]],
    drop_shared: bool = False,
    validation_share: float = 0.15,
    seed: int = 0,
) -> tuple[list[Clip], list[str]]:
    """Merge the clips of all ``corpora``; return them and notes on changes.

    Genuine clips are duplicates if their files are identical, or if they have the same clip id and
    source id: the first one stays, and their sources are merged. `carve_validation` divides clips
    without a split. A clip id that an earlier corpus uses gets the name of its corpus as a prefix.
    Test clips are never dropped.

    Args:
        corpora: clips of each manifest.
        drop_shared: whether training drops clips whose source is in validation or test, and
            validation those whose source is in the test.
        validation_share: share of validation among the clips without a split.
        seed: seed of `carve_validation`.

    Raises:
        InputError: if splits share a source, unless ``drop_shared``.
    """
    rows = _same_sources(_rows(corpora))
    notes: list[str] = []
    rows = _apart(rows, ("train", "validation", None), "test", drop_shared, notes)
    if any(row.clip.split is None for row in rows):
        before = [row.clip for row in rows]
        assigned = carve_validation(before, validation_share, seed)
        notes.append(carved_note(before, assigned))
        rows = [row._replace(clip=clip) for row, clip in zip(rows, assigned, strict=True)]
    rows = _apart(rows, ("train",), "validation", drop_shared, notes)
    clips = _merged(rows)
    if len(clips) < len(rows):
        again = len(rows) - len(clips)
        notes.append(f"{again} genuine clip{'s' * (again > 1)} given more than once, counted once")
    return clips, notes


def carved_note(before: Sequence[Clip], after: Sequence[Clip]) -> str:
    """Return a note on the result of `carve_validation`."""
    free = [new for old, new in zip(before, after, strict=True) if old.split is None]
    moved = [clip for clip in free if clip.split == "validation"]
    sources = len({clip.source_id for clip in moved})
    return (
        f"validation: {len(moved)} of {len(free)} training clips, all clips of {sources} sources, "
        "since the corpus has no validation rows"
    )


def without_lost_twins(clips: Sequence[Clip]) -> list[Clip]:
    """Return ``clips`` without references to twins that are not among them."""
    ids = {clip.clip_id for clip in clips}
    return [clip if clip.twin_id in ids else replace(clip, twin_id=None) for clip in clips]


class _Row(NamedTuple):
    """A clip, the number of its corpus, its content, and the number of its first duplicate."""

    clip: Clip
    corpus: int
    content: str
    first: int


def _rows(corpora: Sequence[Sequence[Clip]]) -> list[_Row]:
    genuine = {clip.location for clips in corpora for clip in clips if not clip.is_fake}
    size_of = {path: size for path in genuine if (size := _size(path)) is not None}
    sizes = Counter(size_of.values())
    rows: list[_Row] = []
    numbers: dict[tuple[str, ...], int] = {}
    for number, clips in enumerate(corpora):
        for clip in clips:
            path = clip.location
            first, content = len(rows), path
            if not clip.is_fake:
                if path in size_of and sizes[size_of[path]] > 1:
                    content = _digest(path, file_state(parse_location(path).file))
                keys = ((content,), (clip.clip_id, clip.source_id))
                first = next((numbers[key] for key in keys if key in numbers), first)
                for key in keys:
                    numbers.setdefault(key, first)
            rows.append(_Row(clip, number, content, first))
    return rows


def _size(path: str) -> int | None:
    """Return the size of audio in bytes; None if its content is not compared.

    That is audio that does not exist, since scores can be evaluated without it, and audio at a URL,
    since it would have to be downloaded.
    """
    location = parse_location(path)
    if location.remote or not location.is_file():
        return None
    return location.size if location.member else file_size(location.file)


@cache
def _digest(path: str, state: tuple[int, int] | None) -> str:
    del state  # only a key of the cache: the file may have been replaced
    return audio_digest(path)


def _same_sources(rows: Sequence[_Row]) -> list[_Row]:
    """Return ``rows`` with one name for all sources of a clip."""
    links = ((rows[row.first].clip.source_id, row.clip.source_id) for row in rows)
    names = linked(links)
    return [
        row._replace(
            clip=replace(
                row.clip,
                source_id=names[row.clip.source_id],
                donor_ids=tuple(names.get(donor, donor) for donor in row.clip.donor_ids),
            )
        )
        for row in rows
    ]


def _apart(
    rows: list[_Row], parts: Collection[str | None], other: str, drop: bool, notes: list[str]
) -> list[_Row]:
    """Return ``rows`` without those of ``parts`` that share a source with the split ``other``."""
    others = {s for row in rows if row.clip.split == other for s in row.clip.sources}
    shared = [r for r in rows if r.clip.split in parts and others.intersection(r.clip.sources)]
    if not shared:
        return rows
    sources = {s for row in shared for s in row.clip.sources} & others
    count = f"{len(sources)} source{'s' * (len(sources) > 1)}"
    if not drop:
        name = min(sources)
        corpus = next(row.clip.corpus for row in shared if name in row.clip.sources)
        other_corpus = next(
            r.clip.corpus for r in rows if r.clip.split == other and name in r.clip.sources
        )
        raise InputError(
            f"data.shared_sources=error: training source {name!r} of {corpus} is also in the "
            f"{other} of {other_corpus} ({count} in all, donors included); set "
            "data.shared_sources=drop to train without it"
        )
    dropped = {id(row) for row in shared}
    notes.append(f"{len(shared)} clips left out of training: the {other} has their {count}")
    return [row for row in rows if id(row) not in dropped]


def _merged(rows: Sequence[_Row]) -> list[Clip]:
    """Return the first of duplicate clips, with unique ids."""
    firsts: dict[int, _Row] = {}
    subsets: dict[int, dict[str, None]] = {}
    for row in rows:
        firsts.setdefault(row.first, row)
        subsets.setdefault(row.first, {}).update(dict.fromkeys(row.clip.subsets))
    ids: dict[int, str] = {}
    used_ids: set[str] = set()
    for first, row in firsts.items():
        name, again = row.clip.clip_id, 1
        while name in used_ids:
            name = f"{row.clip.corpus}/{row.clip.clip_id}" + f"/{again}" * (again > 1)
            again += 1
        ids[first] = name
        used_ids.add(name)
    # a fake equals its twin to the sample, so a re-encoded duplicate is not a twin
    twins = {
        (row.corpus, row.clip.clip_id): ids[row.first]
        for row in rows
        if not row.clip.is_fake and row.content == firsts[row.first].content
    }
    return [
        replace(
            row.clip,
            clip_id=ids[first],
            twin_id=twins.get((row.corpus, row.clip.twin_id or "")),
            subsets=tuple(subsets[first]),
        )
        for first, row in firsts.items()
    ]
