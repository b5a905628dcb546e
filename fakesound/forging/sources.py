"""Genuine recordings for the forge: the embedded corpus or the user's folders."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from fakesound.data.audio import audio_info
from fakesound.data.folders import SUFFIXES, audio_files
from fakesound.data.manifest import Clip, read_manifest
from fakesound.data.splits import source_groups
from fakesound.data.training_data import training_data
from fakesound.errors import InputError, unicode_name

# shortest clip in seconds
SHORTEST = 0.5
FRACTIONS = {"train": 0.58, "validation": 0.12, "test": 0.30}


def embedded_clips(key: str = "embedded") -> list[Clip]:
    """Return the clips of the embedded corpus.

    Args:
        key: setting that chose it, for the error message.

    Raises:
        InputError: if the training data are not installed.
    """
    return read_manifest(training_data("embedded", key) / "manifest.jsonl")


def folder_clips(
    root: Path, clip_seconds: float = 10.0, source: str = "file", on_bad_audio: str = "error"
) -> tuple[list[Clip], list[str]]:
    """Return the recordings under ``root`` as genuine clips, and the errors of unusable files.

    Recordings are cut into clips of at most ``clip_seconds``; a rest shorter than half a second is
    dropped. Sources are files, or with ``source="folder"`` folders, such as one per speaker or
    session. Splits are assigned by source and depend only on names and durations.

    Raises:
        InputError: if the folder is missing or holds too few recordings, or, with
            ``on_bad_audio="error"``, for the first unusable file.
    """
    if not root.is_dir():
        raise InputError(
            f"data.root={root}: no such folder; give a folder of genuine recordings, or null for "
            "the embedded corpus"
        )
    clips, problems = _recordings(root, clip_seconds, source, on_bad_audio)
    count = len({clip.source_id for clip in clips})
    if count < 6:
        raise InputError(
            f"{root}: {count} usable {source}s with audio ({', '.join(SUFFIXES)}); at "
            "least 6 are needed to split by source"
        )
    return assign_splits(clips), problems


def extra_clips(
    root: Path, clip_seconds: float = 10.0, source: str = "file", on_bad_audio: str = "error"
) -> tuple[list[Clip], list[str]]:
    """Return the recordings under ``root`` as genuine clips for training and validation only.

    Like `folder_clips`, but a hash of the source assigns about one source in ten to validation and
    the others to training, and each direct subfolder is a domain. Source ids begin with the name of
    the folder and a colon, so that they differ between folders.

    Raises:
        InputError: if the folder is missing or holds no usable recording, or, with
            ``on_bad_audio="error"``, for the first unusable file.
    """
    if not root.is_dir():
        raise InputError(f"data.extra={root}: no such folder; give folders of genuine recordings")
    corpus = root.resolve().name
    clips, problems = _recordings(root, clip_seconds, source, on_bad_audio, f"{corpus}:")
    if not clips:
        raise InputError(
            f"data.extra={root}: 0 usable {source}s with audio ({', '.join(SUFFIXES)}); name "
            "another folder, or remove it"
        )
    extra = []
    for clip in clips:
        digest = hashlib.sha256(f"fakesound-extra|{clip.source_id}".encode()).digest()
        split = "validation" if int.from_bytes(digest) % 10 == 0 else "train"
        first, *rest = Path(clip.location).relative_to(root).parts
        domain = f"{corpus}/{first}" if rest else corpus
        extra.append(replace(clip, split=split, corpus=corpus, domain=domain))
    return extra, problems


def check_apart(root: Path, folder: Path, key: str) -> None:
    """Check that the output ``folder`` is not inside ``root``, the genuine recordings.

    Raises:
        InputError: naming ``key``, the setting of ``folder``.
    """
    if folder.resolve().is_relative_to(root.resolve()):
        raise InputError(
            f"{key}={folder}: is inside {root}, so its fakes would be read as genuine recordings; "
            "name a folder outside"
        )


def assign_splits(clips: Sequence[Clip]) -> list[Clip]:
    """Assign a split to each clip, disjoint by source, in the shares of ``FRACTIONS``.

    Sources that share clips as donors stay together. They are assigned in the order of a hash of
    their names, so that the same recordings always get the same split.
    """
    groups = source_groups(clips)
    seconds: dict[str, float] = {}
    for clip in clips:
        group = groups[clip.source_id]
        seconds[group] = seconds.get(group, 0.0) + clip.duration
    order = sorted(seconds, key=lambda name: hashlib.sha256(f"fakesound|{name}".encode()).digest())
    names = list(FRACTIONS)
    targets = np.array(list(FRACTIONS.values())) * sum(seconds.values())
    split = {}
    filled = np.zeros(len(names))
    for position, name in enumerate(order):
        # the first sources go to different splits, so that none is empty
        index = position if position < len(names) else int(np.argmax(targets - filled))
        split[name] = names[index]
        filled[index] += seconds[name]
    return [replace(clip, split=split[groups[clip.source_id]]) for clip in clips]


def _recordings(
    root: Path, clip_seconds: float, source: str, on_bad_audio: str, prefix: str = ""
) -> tuple[list[Clip], list[str]]:
    """Return the clips of all audio files under ``root``, without a split, and the errors."""
    clips: list[Clip] = []
    problems: list[str] = []
    for path in audio_files(root):
        try:
            clips.extend(_cut(path, root, clip_seconds, source, prefix))
        except InputError as error:
            if on_bad_audio == "error":
                raise InputError(f"{error}, or set data.on_bad_audio=skip") from None
            problems.append(str(error))
    return clips, problems


def _cut(path: Path, root: Path, clip_seconds: float, source: str, prefix: str) -> list[Clip]:
    info = audio_info(path)
    if info.duration < SHORTEST:
        raise InputError(f"{path}: lasts {info.duration:.2f} s; at least {SHORTEST} s are needed")
    name = prefix + unicode_name(path.relative_to(root).as_posix())
    digest = hashlib.sha256(f"{name}|{path.stat().st_size}|{info.samples}".encode()).hexdigest()
    owner = (
        name
        if source == "file"
        else prefix + unicode_name(path.parent.relative_to(root).as_posix())
    )
    clips = []
    count = max(1, round(np.ceil(info.duration / clip_seconds)))
    for index in range(count):
        start = index * clip_seconds
        duration = min(clip_seconds, info.duration - start)
        if duration < SHORTEST:
            continue
        clips.append(
            Clip(
                clip_id=f"{digest[:12]}-{index}",
                location=str(path),
                source_id=owner,
                label="genuine",
                attack=None,
                regions=(),
                duration=round(duration, 6),
                sample_rate=info.sample_rate,
                corpus=unicode_name(root.name),
                domain=unicode_name(root.name),
                extra={"start": start},
            )
        )
    return clips
